import type { ImageStore } from '#image/image-source.ts'
import type { ImagePuller } from '#image/pull.ts'
import type { ImageServiceDefinition } from '#proto/gen/runtime/v1/api.ts'
import type { Clock } from '#runtime/ports.ts'
import type { ServiceTable } from '../service-table.ts'
import { imageFsInfo } from './image-fs-info.ts'
import { imageStatus } from './image-status.ts'
import { listImages } from './list-images.ts'
import { type NamedHandler, pullImage } from './pull-image.ts'
import { removeImage } from './remove-image.ts'
import { streamImages } from './stream-images.ts'

export interface ImageServiceDependencies {
  readonly store: ImageStore
  readonly puller: ImagePuller
  readonly clock: Clock
  /** The runtime handlers that there are. */
  readonly handlers: readonly NamedHandler[]
}

/** Every RPC of runtime.v1.ImageService. */
export const imageService = ({
  store,
  puller,
  clock,
  handlers,
}: ImageServiceDependencies): ServiceTable<typeof ImageServiceDefinition> => ({
  listImages: listImages(store),
  streamImages: streamImages(store),
  imageStatus: imageStatus(store),
  pullImage: pullImage(puller, handlers),
  removeImage: removeImage(store),
  imageFsInfo: imageFsInfo(store, clock),
})
