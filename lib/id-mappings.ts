/** `length` ids from `containerId` on in a user namespace are those from `hostId` on outside. */
export interface IdMapping {
  readonly containerId: number
  readonly hostId: number
  readonly length: number
}

export interface IdMappings {
  readonly uids: IdMapping
  readonly gids: IdMapping
}

/** What an id inside is outside; undefined where it is none there. */
export function hostIdOf({ containerId, hostId, length }: IdMapping, id: number): number | undefined {
  const offset = id - containerId
  return offset >= 0 && offset < length ? hostId + offset : undefined
}
