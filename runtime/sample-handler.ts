import type { HandlerFeatures, HandlerSettings, RuntimeHandler } from './handler.ts'

/** A handler for tests, as Debian 12 has them: runc can more than crun. */
export function sampleHandler(
  name: string,
  settings: Partial<HandlerSettings> = {},
  features: Partial<HandlerFeatures> = {},
): RuntimeHandler {
  return {
    name,
    features: {
      recursiveReadonlyMounts: name === 'runc',
      userNamespaces: true,
      idmapMounts: false,
      netDevices: false,
      rdtSchemata: false,
      rdtMonitoring: false,
      seccomp: true,
      mountOptions: name === 'runc' ? ['nosymfollow', 'rnoexec'] : undefined,
      checkpoints: name === 'runc',
      ...features,
    },
    sandbox: settings.sandbox === 'container' ? 'container' : 'namespaces',
    settings: {
      type: 'oci',
      path: name,
      sandbox: 'auto',
      root: undefined,
      monitorCgroup: undefined,
      createTimeoutMs: 120_000,
      cniConfDir: undefined,
      baseSpec: undefined,
      seccompProfile: undefined,
      privilegedWithoutHostDevices: false,
      privilegedWithoutHostDevicesAllDevicesAllowed: false,
      allowedAnnotations: [],
      ...settings,
    },
  }
}
