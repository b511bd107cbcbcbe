import { CriError, invalidArgument } from '#lib/errors.ts'
import type { PortMapping, SandboxRecord } from './record.ts'

/**
 * Throws failed-precondition where a pod wants a host port that another one has, invalid-argument where it wants one twice:
 * one of an equal address, port and protocol. No address is 0.0.0.0, as to Kubernetes' scheduler; kubelet sends every
 * container port, those with host port 0 are not mapped.
 */
export function checkHostPorts(wanted: readonly PortMapping[], others: readonly SandboxRecord[]): void {
  const taken = new Map(
    others
      .filter(({ state }) => state.phase !== 'stopped')
      .flatMap((sandbox) =>
        mapped(sandbox.spec.portMappings).map((mapping) => [keyOf(mapping), sandbox] as const),
      ),
  )
  const own = new Set<string>()
  for (const mapping of mapped(wanted)) {
    const key = keyOf(mapping)
    const holder = taken.get(key)
    if (holder !== undefined) throw conflict(mapping, holder)
    if (own.has(key)) throw invalidArgument(`${shown(mapping)} is mapped twice in one pod: leave one out`)
    own.add(key)
  }
}

const mapped = (mappings: readonly PortMapping[]): readonly PortMapping[] =>
  mappings.filter(({ hostPort }) => hostPort !== 0)

const shown = ({ hostPort, hostIp, protocol }: PortMapping): string =>
  `host port ${hostPort}/${protocol}${hostIp && ` on ${hostIp}`}`

function conflict(mapping: PortMapping, holder: SandboxRecord): CriError {
  const { namespace, name } = holder.spec.metadata
  return new CriError(
    'failed-precondition',
    `${shown(mapping)} is taken by pod ${namespace}/${name} ` +
      `(${holder.id}): stop that pod or choose another host port`,
  )
}

const keyOf = ({ hostIp, hostPort, protocol }: PortMapping): string =>
  `${hostIp || '0.0.0.0'} ${hostPort} ${protocol}`
