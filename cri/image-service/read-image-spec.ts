import { findImage } from '#image/find-image.ts'
import type { ImageRecord, ImageStore } from '#image/image-source.ts'
import { isImageId, parseReference } from '#image/reference.ts'
import { invalidArgument } from '#lib/errors.ts'
import type { ImageSpec } from '#proto/gen/runtime/v1/api.ts'
import { ignored } from '../ignored.ts'
import { within } from '../within.ts'

/** The local image that an image spec names. Throws invalid-argument for what is no reference. */
export const imageOfSpec = (
  store: Pick<ImageStore, 'find' | 'localNames'>,
  spec: ImageSpec | undefined,
  at = 'image',
): ImageRecord | undefined => findImage(store, readImageSpec(spec, at))

/** The reference in an image spec at that field. Throws invalid-argument where there is none, or what is none. */
export function readImageSpec(spec: ImageSpec | undefined, at = 'image'): string {
  if (spec === undefined || spec.image === '') throw invalidArgument(`${at}.image is empty: name an image`)
  const { image } = spec
  if (!isImageId(image)) within(`${at}.image`, () => parseReference(image))
  ignored(spec.annotations, 'they are for runtimes that choose how to store an image by them')
  ignored(spec.userSpecifiedImage, 'what the pod says; kubelet has made image of it')
  ignored(spec.runtimeHandler, 'every handler runs the same images; a pull checks that it is there')
  ignored(spec.imageRef, 'it belongs to statuses')
  return image
}
