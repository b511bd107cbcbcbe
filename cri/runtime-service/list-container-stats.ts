import type { ListContainerStatsRequest, ListContainerStatsResponse } from '#proto/gen/runtime/v1/api.ts'
import type { ContainerService, StatsService } from '#runtime/services.ts'
import { listOfContainerStats } from '../list-of-stats.ts'
import type { Handler } from '../unary.ts'

export function listContainerStats(
  containers: Pick<ContainerService, 'list'>,
  stats: Pick<StatsService, 'containers'>,
): Handler<ListContainerStatsRequest, ListContainerStatsResponse> {
  return async (request) => ({ stats: await listOfContainerStats(containers, stats, request.filter) })
}
