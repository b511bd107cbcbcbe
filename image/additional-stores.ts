import { dirname, join } from 'node:path'
import { describeError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import { isThere } from '#linux/is-there.ts'
import type { ForeignImageRecords, StoredImage, StoredLayer } from './image-records.ts'

/** An image root of another cri-ts, which is only read: as one that was baked into the machine's own image. */
export interface AdditionalRoot {
  readonly root: string
  readonly records: Pick<ForeignImageRecords, 'images' | 'layers'>
}

export interface AdditionalImage extends StoredImage {
  /** The root of its store. */
  readonly store: string
}

/** What such stores have, as it was at the start; of two the first has the last word. */
export interface AdditionalStores {
  /** Those that are whole. */
  readonly images: readonly AdditionalImage[]
  layer(diffId: string): AdditionalLayer | undefined
}

/** It has no number of ours. */
type AdditionalLayer = Omit<StoredLayer, 'number'> & { readonly directory: string }

export function readAdditionalStores(
  roots: readonly AdditionalRoot[],
  log: Log,
  sightOf: LayerSight,
): AdditionalStores {
  const layers = new Map<string, AdditionalLayer>()
  const readable = roots.flatMap(layersIn).filter(({ directory }) => sightOf(directory) === 'there')
  for (const layer of readable) if (!layers.has(layer.diffId)) layers.set(layer.diffId, layer)
  const isWhole = ({ id, store, diffIds, stack = diffIds }: AdditionalImage): boolean => {
    const layer = stack.find((diffId) => !layers.has(diffId))
    if (layer !== undefined)
      log.warn({ store, image: id, layer }, 'an image of an additional store lacks a layer')
    return layer === undefined
  }
  const found = roots.flatMap(({ root, records }) =>
    records.images().map((image) => ({ ...image, store: root })),
  )
  return { images: found.filter(isWhole), layer: (diffId) => layers.get(diffId) }
}

const layersIn = ({ root, records }: AdditionalRoot): readonly AdditionalLayer[] =>
  records
    .layers()
    .map(({ number, ...layer }) => ({ ...layer, directory: layer.directory ?? layerDirectory(root, number) }))

/** What can be seen of a layer in its place: one in a store that cannot be read is not lost. */
export type LayerSight = (directory: string) => 'there' | 'lost' | 'unread'

/** Such a store is logged once. */
export function layerSight(log: Log): LayerSight {
  const told = new Set<string>()
  return (directory) => {
    try {
      return isThere(directory) ? 'there' : 'lost'
    } catch (error) {
      const store = dirname(dirname(directory))
      const fields = { store, error: describeError(error) }
      if (!told.has(store))
        log.error(fields, 'an image store cannot be read: its layers are of no use before the next start')
      told.add(store)
      return 'unread'
    }
  }
}

/** Where the layer of that number lies in an image root. */
export const layerDirectory = (root: string, layerNumber: number): string =>
  join(root, 'layers', layerNumber.toString(36))
