import { capabilityNames } from '#lib/capability-names.ts'
import { CriError, invalidArgument } from '#lib/errors.ts'
import { nearestName } from '#lib/names.ts'
import type { ContainerSpec } from '../container/record.ts'
import type { OciCapabilities } from './oci-spec.ts'

type CapabilityRequest = Pick<
  ContainerSpec['security'],
  'privileged' | 'addCapabilities' | 'dropCapabilities' | 'ambientCapabilities'
>

/**
 * The node's default list with what is added and dropped; ALL goes first, so that ALL but one can be said.
 * An ambient one is added to all sets; what is dropped is in none (api.proto, Capability).
 * `held` is what the daemon holds: ALL and privileged mean no more than that, since an OCI runtime fails on more.
 * Throws invalid-argument for an unknown name, failed-precondition for an added one that the daemon does not hold.
 */
export function resolveCapabilities(
  request: CapabilityRequest,
  held: readonly string[],
  defaults: readonly string[],
): OciCapabilities {
  const add = fullNames(request.addCapabilities, 'add_capabilities')
  const drop = fullNames(request.dropCapabilities, 'drop_capabilities')
  const ambient = fullNames(request.ambientCapabilities ?? [], 'add_ambient_capabilities')
  if (request.privileged) return allSets(held, within(ambient, held))

  let granted = new Set<string>(defaults.filter((name) => held.includes(name)))
  if (add.includes(ALL) || ambient.includes(ALL)) granted = new Set(held)
  if (drop.includes(ALL)) granted = new Set()
  for (const name of [...add, ...ambient]) {
    if (name === ALL) continue
    if (!held.includes(name)) throw notHeld(name)
    granted.add(name)
  }
  for (const name of drop) granted.delete(name)
  const names = capabilityNames.filter((name) => granted.has(name))
  return allSets(names, within(ambient, names))
}

const ALL = 'CAP_ALL'

const allSets = (names: readonly string[], ambient: readonly string[]): OciCapabilities => ({
  ...{ bounding: names, effective: names, permitted: names },
  ...(ambient.length === 0 ? {} : { inheritable: ambient, ambient }),
})

/** Those of `granted` that are wanted, all where ALL is. */
const within = (wanted: readonly string[], granted: readonly string[]): readonly string[] =>
  granted.filter((name) => wanted.includes(ALL) || wanted.includes(name))

const fullNames = (names: readonly string[], field: string): readonly string[] =>
  names.map((name) => fullName(name, `linux.security_context.capabilities.${field}`))

/** Kubernetes leaves the CAP_ off; either is taken, in any case. */
function fullName(name: string, field: string): string {
  const full = `CAP_${name.toUpperCase().replace(/^CAP_/, '')}`
  const known: readonly string[] = [ALL, ...capabilityNames]
  if (known.includes(full)) return full
  const nearest = nearestName(full, known)
  throw invalidArgument(
    `${field} has ${JSON.stringify(name)}, which is no capability${nearest === undefined ? '' : `: did you mean ${nearest.slice('CAP_'.length)}?`}`,
  )
}

const notHeld = (name: string): CriError =>
  new CriError(
    'failed-precondition',
    `capability ${name} can't be given to a container, since the daemon does not hold it itself: ` +
      'leave it out, or start the daemon with it',
  )
