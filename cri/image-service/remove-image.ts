import type { ImageStore } from '#image/image-source.ts'
import { untilAborted } from '#lib/until-aborted.ts'
import type { RemoveImageRequest, RemoveImageResponse } from '#proto/gen/runtime/v1/api.ts'
import type { Handler } from '../unary.ts'
import { imageOfSpec } from './read-image-spec.ts'

/**
 * Idempotent; takes the image with all its names, whichever of them was given (api.proto, RemoveImage). It is gone at
 * once; where the disk runs low, answered when its files are deleted (ImageStore.freed) or the caller hangs up.
 */
export function removeImage(
  store: Pick<ImageStore, 'find' | 'localNames' | 'remove' | 'freed'>,
): Handler<RemoveImageRequest, RemoveImageResponse> {
  return async ({ image }, { signal }) => {
    const found = imageOfSpec(store, image)
    if (found === undefined) return {}
    await store.remove(found.id)
    await untilAborted(store.freed(), signal).catch((thrown: unknown) => {
      if (!signal.aborted) throw thrown
    })
    return {}
  }
}
