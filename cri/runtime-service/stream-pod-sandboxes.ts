import type { StreamPodSandboxesRequest, StreamPodSandboxesResponse } from '#proto/gen/runtime/v1/api.ts'
import type { SandboxService } from '#runtime/services.ts'
import { batches } from '../batches.ts'
import { listSandboxes } from '../list-sandboxes.ts'
import type { StreamHandler } from '../server-stream.ts'

/** ListPodSandbox for nodes whose list is longer than a message may be. */
export function streamPodSandboxes(
  sandboxes: Pick<SandboxService, 'list'>,
): StreamHandler<StreamPodSandboxesRequest, StreamPodSandboxesResponse> {
  return function* (request) {
    for (const podSandboxes of batches(listSandboxes(sandboxes, request.filter))) yield { podSandboxes }
  }
}
