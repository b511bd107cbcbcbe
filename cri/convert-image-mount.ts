import { invalidArgument } from '#lib/errors.ts'
import * as wire from '#proto/gen/runtime/v1/api.ts'
import type { ContainerMount } from '#runtime/container/record.ts'
import { ignored } from './ignored.ts'

/**
 * The image of an image volume (api.proto, Mount.image); undefined for another mount. Throws invalid-argument for
 * what an image can't have: a host path, being written to, propagation, and a sub path that leads out of it.
 */
export function convertImageMount(mount: wire.Mount, field: string): ContainerMount['image'] {
  const { image, imageSubPath: subPath } = mount
  if (image === undefined) {
    if (subPath === '') return undefined
    throw invalidArgument(`${field}.image_sub_path is ${subPath}, but there is no image: set image too`)
  }
  const { image: reference, userSpecifiedImage } = image
  ignored(image.annotations, 'they help to choose an image while it is pulled')
  ignored(image.runtimeHandler, 'of use while it is pulled')
  ignored(image.imageRef, 'for the status to answer')
  const wrong = (what: string): Error => invalidArgument(`${field}${what}`)
  if (reference === '') throw wrong('.image.image is empty: name an image, as PullImage answers it')
  if (mount.hostPath !== '')
    throw wrong(`.host_path is ${mount.hostPath}, and there is an image: leave one of them out`)
  if (!mount.readonly) throw wrong('.readonly is false, but an image is never written to: set it')
  if (mount.propagation !== wire.MountPropagation.PROPAGATION_PRIVATE)
    throw wrong(`.propagation is ${mount.propagation}, but nothing is mounted in an image: leave it out`)
  if (subPath.startsWith('/') || subPath.includes('\0') || subPath.split('/').includes('..'))
    throw wrong(
      `.image_sub_path is ${JSON.stringify(subPath)}: it must be a path in the image, without / at its start and ..`,
    )
  return { reference, userSpecifiedImage, subPath }
}

export function imageToWire(
  { reference, userSpecifiedImage }: NonNullable<ContainerMount['image']>,
  imageRef: string,
): wire.ImageSpec {
  return { image: reference, annotations: {}, userSpecifiedImage, runtimeHandler: '', imageRef }
}
