import type { ImageStore } from '#image/image-source.ts'
import type { StreamImagesRequest, StreamImagesResponse } from '#proto/gen/runtime/v1/api.ts'
import { batches } from '../batches.ts'
import type { StreamHandler } from '../server-stream.ts'
import { filteredImages } from './list-images.ts'

/** ListImages for nodes whose list is longer than a message may be. */
export function streamImages(
  store: Pick<ImageStore, 'find' | 'localNames' | 'list'>,
): StreamHandler<StreamImagesRequest, StreamImagesResponse> {
  return function* ({ filter }) {
    for (const images of batches(filteredImages(store, filter))) yield { images }
  }
}
