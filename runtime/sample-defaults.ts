import { type ContainerDefaults, defaultCapabilities } from './container-defaults.ts'

/** For tests: those of a configuration that says nothing. */
export const sampleDefaults: ContainerDefaults = {
  env: [],
  sysctls: {},
  unprivilegedPorts: true,
  unprivilegedIcmp: true,
  limits: [],
  capabilities: defaultCapabilities,
  devices: [],
  allowedDevices: [],
  devicesOfUser: false,
}
