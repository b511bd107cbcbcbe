import type { ImageRecords, StoredImage } from './image-records.ts'

/** Who needs which layer, derived from the records. */
export interface LayerUsers {
  /** Names of images, by the number of the layer. */
  readonly images: ReadonlyMap<number, readonly string[]>
  /** Ids of containers (of a container's image volume too), by the number of the layer. */
  readonly containers: ReadonlyMap<number, readonly string[]>
  /** Whether a container has just the layers of the image. */
  isUsed(image: Pick<StoredImage, 'diffIds' | 'stack'>): boolean
}

export function layerUsers(
  records: Pick<ImageRecords, 'images' | 'layers' | 'rootfs' | 'rootfsIds'>,
): LayerUsers {
  const images = new Map<number, string[]>()
  const containers = new Map<number, string[]>()
  const add = (users: Map<number, string[]>, layer: number, user: string): void => {
    const known = users.get(layer) ?? []
    if (!known.includes(user)) users.set(layer, [...known, user])
  }
  const numberOf = new Map(records.layers().map(({ number, diffId }) => [diffId, number]))
  const numbers = (diffIds: readonly string[]): readonly number[] =>
    diffIds.map((id) => numberOf.get(id) ?? -1)
  for (const image of records.images()) {
    for (const number of numbers(image.stack ?? image.diffIds)) add(images, number, nameOf(image))
  }
  const made = new Set<string>()
  for (const id of records.rootfsIds()) {
    const places = (records.rootfs(id) ?? []).map(({ number }) => number)
    for (const number of places) add(containers, number, id.split('/')[0] ?? id)
    made.add(places.join(' '))
  }
  return { images, containers, isUsed: ({ diffIds, stack = diffIds }) => made.has(numbers(stack).join(' ')) }
}

/** As people know an image: by its first name, else by its id. */
export const nameOf = ({ id, tags, digests }: Pick<StoredImage, 'id' | 'tags' | 'digests'>): string =>
  tags[0] ?? digests[0] ?? id
