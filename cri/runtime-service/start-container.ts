import type { StartContainerRequest, StartContainerResponse } from '#proto/gen/runtime/v1/api.ts'
import type { ContainerService } from '#runtime/services.ts'
import type { Handler } from '../unary.ts'

/** Starts the process of a created container; it goes on when the caller hangs up. */
export function startContainer(
  containers: Pick<ContainerService, 'start'>,
): Handler<StartContainerRequest, StartContainerResponse> {
  return async (request) => {
    await containers.start(request.containerId)
    return {}
  }
}
