import { invalidArgument } from '#lib/errors.ts'
import type { IdMapping, IdMappings } from '#lib/id-mappings.ts'
import type * as wire from '#proto/gen/runtime/v1/api.ts'

/** The last uid and gid that a file can have: the one after means "none" (chown(2)). */
const MAX_ID = 2 ** 32 - 2

/** Throws invalid-argument for anything but one mapping, of ids there are. */
function convertIdMapping(mappings: readonly wire.IDMapping[], field: string): IdMapping {
  const [mapping] = mappings
  if (mapping === undefined || mappings.length > 1) {
    throw invalidArgument(`${field} has ${mappings.length} mappings: give one, as kubelet does`)
  }
  const { containerId, hostId, length } = mapping
  if (length < 1) throw invalidArgument(`${field}[0].length is ${length}: map at least one id`)
  for (const [part, id] of Object.entries({ container_id: containerId, host_id: hostId })) {
    if (id + length - 1 <= MAX_ID) continue
    throw invalidArgument(
      `${field}[0].${part} is ${id} with length ${length}: the last id is ${MAX_ID}, so give a smaller one`,
    )
  }
  return { containerId, hostId, length }
}

/** Of a mount, by its own field names; undefined where it has none. Both or none have to be given. */
export function convertMountMappings(mount: wire.Mount, field: string): IdMappings | undefined {
  const { uidMappings, gidMappings } = mount
  if (uidMappings.length === 0 && gidMappings.length === 0) return undefined
  return {
    uids: convertIdMapping(uidMappings, `${field}.uidMappings`),
    gids: convertIdMapping(gidMappings, `${field}.gidMappings`),
  }
}

/** Those of a pod's user namespace: it has a root, without whom nothing in it could be set up. */
export function convertPodMappings({ uids, gids }: wire.UserNamespace, field: string): IdMappings {
  const mappings = {
    uids: convertIdMapping(uids, `${field}.uids`),
    gids: convertIdMapping(gids, `${field}.gids`),
  }
  for (const [part, { containerId }] of Object.entries(mappings)) {
    if (containerId === 0) continue
    throw invalidArgument(`${field}.${part}[0].container_id is ${containerId}: map the ids from 0 on, root's`)
  }
  return mappings
}

export const idMappingsToWire = (mapping: IdMapping | undefined): wire.IDMapping[] =>
  mapping === undefined ? [] : [{ ...mapping }]
