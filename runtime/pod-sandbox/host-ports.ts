import { CriError } from '#lib/errors.ts'
import type { PortMapping, SandboxRecord } from './record.ts'

/**
 * Throws failed-precondition where a pod wants a host port that another one has: one of an equal address, port and
 * protocol. Wildcards of any form are one address; kubelet sends every container port, those with host port 0 are not mapped.
 */
export function checkHostPorts(wanted: readonly PortMapping[], others: readonly SandboxRecord[]): void {
  const taken = new Map(
    others
      .filter(({ state }) => state.phase !== 'stopped')
      .flatMap((sandbox) =>
        mapped(sandbox.spec.portMappings).map((mapping) => [keyOf(mapping), sandbox] as const),
      ),
  )
  for (const mapping of mapped(wanted)) {
    const holder = taken.get(keyOf(mapping))
    if (holder !== undefined) throw conflict(mapping, holder)
  }
}

const mapped = (mappings: readonly PortMapping[]): readonly PortMapping[] =>
  mappings.filter(({ hostPort }) => hostPort !== 0)

function conflict({ hostPort, hostIp, protocol }: PortMapping, holder: SandboxRecord): CriError {
  const { namespace, name } = holder.spec.metadata
  return new CriError(
    'failed-precondition',
    `host port ${hostPort}/${protocol}${hostIp && ` on ${hostIp}`} is taken by pod ${namespace}/${name} ` +
      `(${holder.id}): stop that pod or choose another host port`,
  )
}

const wildcards = new Set(['', '0.0.0.0', '::'])
const keyOf = ({ hostIp, hostPort, protocol }: PortMapping): string =>
  `${wildcards.has(hostIp) ? '' : hostIp} ${hostPort} ${protocol}`
