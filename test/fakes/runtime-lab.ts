import type { Log } from '#lib/log.ts'
import type { ConfinementSettings } from '#runtime/confinement.ts'
import type { ContainerDefaults } from '#runtime/container-defaults.ts'
import type { HandlerSettings } from '#runtime/handler.ts'
import type { MountSettings } from '#runtime/mount-settings.ts'
import { sampleHost } from '#runtime/oci-spec/sample-input.ts'
import type { RuntimePorts } from '#runtime/ports.ts'
import { createRuntime, type Runtime } from '#runtime/runtime.ts'
import { sampleDefaults } from '#runtime/sample-defaults.ts'
import { sampleHandler } from '#runtime/sample-handler.ts'
import { Effects } from './effects.ts'

import { FakeHost } from './fake-host.ts'
import { fakePorts } from './fake-ports.ts'

export interface RuntimeLab {
  readonly host: FakeHost
  readonly effects: Effects
  readonly runtime: Runtime
  readonly warnings: readonly string[]
  /** A new daemon on the same host and records, not yet recovered. */
  restart(): RuntimeLab
}

const noSettings: ConfinementSettings = {
  unsetSeccomp: { type: 'Unconfined' },
  privilegedSeccomp: { type: 'Unconfined' },
  apparmorProfile: undefined,
  restoresImages: false,
}

/** A runtime on fakes of all its ports, with handlers of any name. */
export function runtimeLab(
  host = new FakeHost(),
  settings: { readonly [handler: string]: Partial<HandlerSettings> } = {},
  mounts: Partial<MountSettings> = {},
  defaults: Partial<ContainerDefaults> = {},
  confinement: Partial<ConfinementSettings> = {},
): RuntimeLab {
  const effects = new Effects()
  const warnings: string[] = []
  const warn = (fields: object, message: string): void => {
    warnings.push(`${message}: ${JSON.stringify(fields)}`)
  }
  const log: Log = { debug: () => undefined, info: () => undefined, warn, error: warn }
  const tapped = Object.entries(fakePorts(host)).map(([name, port]) => [
    name,
    effects.tap(name, port as object),
  ])
  const runtime = createRuntime({
    ports: Object.fromEntries(tapped) as RuntimePorts,
    host: sampleHost,
    log,
    options: {
      sandboxPaths: (id) => ({
        resolvConf: `/state/${id}/resolv.conf`,
        hosts: `/state/${id}/hosts`,
        hostname: `/state/${id}/hostname`,
        shm: `/state/${id}/shm`,
        initRootfs: `/state/${id}/init-rootfs`,
      }),
      initPath: () => '/usr/bin/catatonit',
      handler: (name) => sampleHandler(name, settings[name]),
      mounts: { ...fakeMountSettings, ...mounts },
      userNamespaceProblem: '',
      confinement: { ...noSettings, ...confinement },
      hostname: () => 'node',
      defaults: { ...sampleDefaults, ...defaults },
      nowNs: host.nowNs,
    },
  })
  const restart = (): RuntimeLab => runtimeLab(host, settings, mounts, defaults, confinement)
  return { host, effects, runtime, warnings, restart }
}

/** What nobody has configured, with a default mount. */
const fakeMountSettings: MountSettings = {
  shmSizeBytes: 64 << 20,
  imageVolumes: 'copy',
  absentSourcesToReject: [],
  defaults: [{ source: '/etc/pki', destination: '/etc/pki', type: 'bind', options: ['ro'] }],
}

/** All that can go on without a timer has gone on: everything in the fakes happens in microtasks. */
export const quiet = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
