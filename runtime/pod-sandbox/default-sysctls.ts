import { namespaceOfSysctl, sysctlPathOf } from '#lib/sysctl-names.ts'
import type { ContainerDefaults } from '../container-defaults.ts'
import type { SandboxSpec, StringMap } from './record.ts'

const UNPRIVILEGED_PORTS = 'net.ipv4.ip_unprivileged_port_start'
const PING_GROUPS = 'net.ipv4.ping_group_range'

/** The pod's sysctls over those of the node that fit it: none is set in a namespace that is the host's. */
export function withDefaultSysctls(
  { sysctls, namespaces }: Pick<SandboxSpec, 'sysctls' | 'namespaces'>,
  defaults: ContainerDefaults,
): StringMap {
  const wanted = {
    ...(defaults.unprivilegedPorts ? { [UNPRIVILEGED_PORTS]: '0' } : {}),
    // In a user namespace the range would be of ids that most pods have no mapping for.
    ...(defaults.unprivilegedIcmp && namespaces.user === undefined ? { [PING_GROUPS]: '0 2147483647' } : {}),
    ...defaults.sysctls,
  }
  const asked = new Set(Object.keys(sysctls).map(sysctlPathOf))
  const fitting = Object.entries(wanted).filter(([name]) => {
    const path = sysctlPathOf(name)
    const owner = namespaceOfSysctl(path ?? '')
    return owner !== undefined && namespaces[owner] === 'pod' && !asked.has(path)
  })
  return { ...Object.fromEntries(fitting), ...sysctls }
}
