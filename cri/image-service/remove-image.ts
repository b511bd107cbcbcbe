import type { ImageStore } from '#image/image-source.ts'
import type { RemoveImageRequest, RemoveImageResponse } from '#proto/gen/runtime/v1/api.ts'
import type { Handler } from '../unary.ts'
import { imageOfSpec } from './read-image-spec.ts'

/** Idempotent; takes the image with all its names, whichever of them was given (api.proto, RemoveImage). */
export function removeImage(
  store: Pick<ImageStore, 'find' | 'localNames' | 'remove'>,
): Handler<RemoveImageRequest, RemoveImageResponse> {
  return async ({ image }) => {
    const found = imageOfSpec(store, image)
    if (found !== undefined) await store.remove(found.id)
    return {}
  }
}
