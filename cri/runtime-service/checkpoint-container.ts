import type { CheckpointContainerRequest, CheckpointContainerResponse } from '#proto/gen/runtime/v1/api.ts'
import type { ContainerService } from '#runtime/services.ts'
import { absolute } from '../convert-mounts.ts'
import { secondsToMs } from '../convert-timeout.ts'
import type { Handler } from '../unary.ts'

/** Writes an archive of the container's state to `location`, an absolute path; the container runs on. */
export function checkpointContainer(
  containers: Pick<ContainerService, 'checkpoint'>,
): Handler<CheckpointContainerRequest, CheckpointContainerResponse> {
  return async ({ containerId, location, timeout }) => {
    await containers.checkpoint(containerId, absolute(location, 'location'), secondsToMs(timeout))
    return {}
  }
}
