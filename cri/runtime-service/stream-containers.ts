import type { StreamContainersRequest, StreamContainersResponse } from '#proto/gen/runtime/v1/api.ts'
import type { ContainerService } from '#runtime/services.ts'
import { batches } from '../batches.ts'
import { listOfContainers } from '../list-of-containers.ts'
import type { StreamHandler } from '../server-stream.ts'

/** ListContainers for nodes whose list is longer than a message may be. */
export function streamContainers(
  containers: Pick<ContainerService, 'list'>,
): StreamHandler<StreamContainersRequest, StreamContainersResponse> {
  return function* (request) {
    for (const batch of batches(listOfContainers(containers, request.filter))) yield { containers: batch }
  }
}
