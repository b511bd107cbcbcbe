import type { StreamContainerStatsRequest, StreamContainerStatsResponse } from '#proto/gen/runtime/v1/api.ts'
import type { ContainerService, StatsService } from '#runtime/services.ts'
import { batches } from '../batches.ts'
import { listOfContainerStats } from '../list-of-stats.ts'
import type { StreamHandler } from '../server-stream.ts'

/** ListContainerStats for nodes whose list is longer than a message may be. */
export function streamContainerStats(
  containers: Pick<ContainerService, 'list'>,
  stats: Pick<StatsService, 'containers'>,
): StreamHandler<StreamContainerStatsRequest, StreamContainerStatsResponse> {
  return async function* (request) {
    const found = await listOfContainerStats(containers, stats, request.filter)
    for (const batch of batches(found)) yield { containerStats: batch }
  }
}
