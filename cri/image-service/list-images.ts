import type { ImageStore } from '#image/image-source.ts'
import type { Image, ImageFilter, ListImagesRequest, ListImagesResponse } from '#proto/gen/runtime/v1/api.ts'
import type { Handler } from '../unary.ts'
import { convertImage } from './convert-image.ts'
import { imageOfSpec } from './read-image-spec.ts'

export function listImages(
  store: Pick<ImageStore, 'find' | 'localNames' | 'list'>,
): Handler<ListImagesRequest, ListImagesResponse> {
  return ({ filter }) => ({ images: filteredImages(store, filter) })
}

/** Every image once, with all its names; with a filter the one that it names, if it is here. */
export function filteredImages(
  store: Pick<ImageStore, 'find' | 'localNames' | 'list'>,
  filter: ImageFilter | undefined,
): Image[] {
  const spec = filter?.image
  if (spec === undefined || spec.image === '') return store.list().map(convertImage)
  const found = imageOfSpec(store, spec, 'filter.image')
  return found === undefined ? [] : [convertImage(found)]
}
