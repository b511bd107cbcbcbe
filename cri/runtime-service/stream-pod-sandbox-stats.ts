import type {
  StreamPodSandboxStatsRequest,
  StreamPodSandboxStatsResponse,
} from '#proto/gen/runtime/v1/api.ts'
import type { SandboxService, StatsService } from '#runtime/services.ts'
import { batches } from '../batches.ts'
import { listOfSandboxStats } from '../list-of-stats.ts'
import type { StreamHandler } from '../server-stream.ts'

/** ListPodSandboxStats for nodes whose list is longer than a message may be. */
export function streamPodSandboxStats(
  sandboxes: Pick<SandboxService, 'list'>,
  stats: Pick<StatsService, 'sandboxes'>,
): StreamHandler<StreamPodSandboxStatsRequest, StreamPodSandboxStatsResponse> {
  return async function* (request) {
    const found = await listOfSandboxStats(sandboxes, stats, request.filter)
    for (const batch of batches(found)) yield { podSandboxStats: batch }
  }
}
