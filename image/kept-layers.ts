import { notFound } from '#lib/errors.ts'
import type { ImageRecords } from './image-records.ts'
import type { ImageStore } from './image-source.ts'
import type { LayerStore } from './layer-store.ts'

export interface KeptLayersOptions {
  readonly images: Pick<ImageStore, 'find'>
  readonly layers: Pick<LayerStore, 'lowerDirectory' | 'adopt'>
  readonly records: Pick<ImageRecords, 'rootfs' | 'putRootfs'>
}

/**
 * The directories of the layers of a container's root file system or volume, base first: those that it was first made
 * of, whatever became of the image. From then on they stay, and the record knows of it. Throws not-found.
 */
export function keepLayers(
  owner: string,
  imageId: string,
  { images, layers, records }: KeptLayersOptions,
): readonly string[] {
  if (records.rootfs(owner) === undefined) {
    const image = images.find(imageId)
    if (image === undefined) throw notFound('image', imageId)
    const { stack = image.diffIds } = image
    records.putRootfs(owner, stack, layers.adopt(stack))
  }
  return (records.rootfs(owner) ?? []).map((place) => layers.lowerDirectory(place))
}
