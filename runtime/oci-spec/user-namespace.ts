import { CriError, invalidArgument } from '#lib/errors.ts'
import { hostIdOf, type IdMapping } from '#lib/id-mappings.ts'
import type { ContainerMount, ResolvedUser } from '../container/record.ts'
import type { SandboxRecord } from '../pod-sandbox/record.ts'
import type { PodUserNamespace } from '../ports.ts'
import type { OciIdMapping, OciSpec } from './oci-spec.ts'

/** The pod's, where it has one: pinned at `path`. */
export function podUserNamespace(
  { id, spec }: SandboxRecord,
  path: string | undefined,
): PodUserNamespace | undefined {
  const mappings = spec.namespaces.user
  if (mappings === undefined) return undefined
  if (path !== undefined) return { path, mappings }
  const message = `pod sandbox ${id} has lost its user namespace: it has to be stopped and run anew`
  throw new CriError('failed-precondition', message)
}

/** What config.json says of a user namespace that is joined: runc refuses to join one whose mappings it is not told. */
export function ociMappings(
  user: PodUserNamespace | undefined,
): Pick<OciSpec['linux'], 'uidMappings' | 'gidMappings'> {
  if (user === undefined) return {}
  const { uids, gids } = user.mappings
  return { uidMappings: [toOciMapping(uids)], gidMappings: [toOciMapping(gids)] }
}

const toOciMapping = ({ containerId, hostId, length }: IdMapping): OciIdMapping => ({
  containerID: containerId,
  hostID: hostId,
  size: length,
})

/** Throws invalid-argument for ids that the pod's user namespace does not have, and for what can't leave it. */
export function requireWithin(
  { mappings }: PodUserNamespace,
  user: ResolvedUser,
  mounts: readonly ContainerMount[],
): void {
  requireMapped('user id', [user.uid], mappings.uids)
  requireMapped('group id', [user.gid, ...user.additionalGids], mappings.gids)
  const shared = mounts.find(({ propagation }) => propagation === 'bidirectional')
  if (shared === undefined) return
  throw invalidArgument(
    `mount of ${shared.hostPath} at ${shared.containerPath}: nothing that is mounted in a user namespace gets out of it, ` +
      "so that bidirectional propagation can't work: ask for another, or run the pod with hostUsers: true",
  )
}

function requireMapped(what: string, ids: readonly number[], mapping: IdMapping): void {
  const missing = ids.find((id) => hostIdOf(mapping, id) === undefined)
  if (missing === undefined) return
  const { containerId, length } = mapping
  throw invalidArgument(
    `${what} ${missing} is not mapped in the pod's user namespace, which has those from ${containerId} to ${containerId + length - 1}: ` +
      'choose one of these, or run the pod with hostUsers: true',
  )
}
