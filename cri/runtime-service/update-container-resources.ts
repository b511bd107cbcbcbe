import type {
  UpdateContainerResourcesRequest,
  UpdateContainerResourcesResponse,
} from '#proto/gen/runtime/v1/api.ts'
import type { ContainerService } from '#runtime/services.ts'
import { convertResources } from '../convert-resources.ts'
import { ignored } from '../ignored.ts'
import type { Handler } from '../unary.ts'

/** What the request leaves at zero stays as it is. */
export function updateContainerResources(
  containers: Pick<ContainerService, 'update'>,
): Handler<UpdateContainerResourcesRequest, UpdateContainerResourcesResponse> {
  return async (request) => {
    ignored(request.windows, 'this is Linux')
    ignored(request.annotations, 'no resource of ours is told by one')
    await containers.update(request.containerId, convertResources(request.linux, 'linux'))
    return {}
  }
}
