import type { ListContainersRequest, ListContainersResponse } from '#proto/gen/runtime/v1/api.ts'
import type { ContainerService } from '#runtime/services.ts'
import { listOfContainers } from '../list-of-containers.ts'
import type { Handler } from '../unary.ts'

export function listContainers(
  containers: Pick<ContainerService, 'list'>,
): Handler<ListContainersRequest, ListContainersResponse> {
  return (request) => ({ containers: listOfContainers(containers, request.filter) })
}
