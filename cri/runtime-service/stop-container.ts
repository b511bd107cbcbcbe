import { isNotFound } from '#lib/errors.ts'
import type { StopContainerRequest, StopContainerResponse } from '#proto/gen/runtime/v1/api.ts'
import type { ContainerService } from '#runtime/services.ts'
import { secondsToMs } from '../convert-timeout.ts'
import type { Handler } from '../unary.ts'

/**
 * Idempotent: one that is gone, or has exited, is stopped (api.proto, StopContainer).
 * It goes on when the caller hangs up: kubelet's retry joins it.
 */
export function stopContainer(
  containers: Pick<ContainerService, 'stop'>,
): Handler<StopContainerRequest, StopContainerResponse> {
  return async (request) => {
    try {
      await containers.stop(request.containerId, secondsToMs(request.timeout))
    } catch (error) {
      if (!isNotFound(error)) throw error
    }
    return {}
  }
}
