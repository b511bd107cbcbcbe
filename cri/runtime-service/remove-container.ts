import { isNotFound } from '#lib/errors.ts'
import type { RemoveContainerRequest, RemoveContainerResponse } from '#proto/gen/runtime/v1/api.ts'
import type { ContainerService } from '#runtime/services.ts'
import type { Handler } from '../unary.ts'

/** Idempotent: one that is gone is removed; one that runs is killed (api.proto, RemoveContainer). */
export function removeContainer(
  containers: Pick<ContainerService, 'remove'>,
): Handler<RemoveContainerRequest, RemoveContainerResponse> {
  return async (request) => {
    try {
      await containers.remove(request.containerId)
    } catch (error) {
      if (!isNotFound(error)) throw error
    }
    return {}
  }
}
