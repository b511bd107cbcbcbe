import type { ReopenContainerLogRequest, ReopenContainerLogResponse } from '#proto/gen/runtime/v1/api.ts'
import type { ContainerService } from '#runtime/services.ts'
import type { Handler } from '../unary.ts'

/** After kubelet has renamed the log; fails for a container that does not run. */
export function reopenContainerLog(
  containers: Pick<ContainerService, 'reopenLog'>,
): Handler<ReopenContainerLogRequest, ReopenContainerLogResponse> {
  return async (request) => {
    await containers.reopenLog(request.containerId)
    return {}
  }
}
