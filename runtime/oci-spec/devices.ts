import type { HostDevice } from '../ports.ts'
import type { OciDevice, OciDeviceRule } from './oci-spec.ts'

/**
 * The device nodes to make, and the rules of who may use what. OCI runtimes add their own for
 * /dev/null, zero, full, random, urandom, tty, ptmx and ptys. Of two devices at one path the later is made.
 */
export function buildDevices(
  devices: readonly HostDevice[],
  allAllowed: boolean,
): { readonly devices: readonly OciDevice[]; readonly rules: readonly OciDeviceRule[] } {
  const byPath = [...new Map(devices.map((device) => [device.path, device])).values()]
  return {
    devices: byPath.map(({ path, type, major, minor, mode, uid, gid }) => {
      return { path, type, major, minor, fileMode: mode & 0o777, uid, gid }
    }),
    rules: allAllowed
      ? [{ allow: true, access: 'rwm' }]
      : [
          { allow: false, access: 'rwm' },
          ...byPath.map(({ type, major, minor, permissions }) => {
            return { allow: true, type, major, minor, access: permissions }
          }),
        ],
  }
}
