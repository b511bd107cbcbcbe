import type { ImageStore } from '#image/image-source.ts'
import { untilAborted } from '#lib/until-aborted.ts'
import type { RemoveImageRequest, RemoveImageResponse } from '#proto/gen/runtime/v1/api.ts'
import type { Handler } from '../unary.ts'
import { imageOfSpec } from './read-image-spec.ts'

/** Kubelet reads the disk's free space right after the removal of images, and evicts a pod where there is too little. */
const DELETED_WITHIN_MS = 10_000

/**
 * Idempotent; takes the image with all its names, whichever of them was given (api.proto, RemoveImage). It is gone at
 * once; answered when its files are deleted, or take longer than `deletedWithinMs`, or the caller hangs up.
 */
export function removeImage(
  store: Pick<ImageStore, 'find' | 'localNames' | 'remove' | 'deleted'>,
  deletedWithinMs = DELETED_WITHIN_MS,
): Handler<RemoveImageRequest, RemoveImageResponse> {
  return async ({ image }, { signal }) => {
    const found = imageOfSpec(store, image)
    if (found === undefined) return {}
    await store.remove(found.id)
    const enough = AbortSignal.any([signal, AbortSignal.timeout(deletedWithinMs)])
    await untilAborted(store.deleted(), enough).catch((thrown: unknown) => {
      if (!enough.aborted) throw thrown
    })
    return {}
  }
}
