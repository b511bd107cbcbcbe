import type { ListPodSandboxStatsRequest, ListPodSandboxStatsResponse } from '#proto/gen/runtime/v1/api.ts'
import type { SandboxService, StatsService } from '#runtime/services.ts'
import { listOfSandboxStats } from '../list-of-stats.ts'
import type { Handler } from '../unary.ts'

export function listPodSandboxStats(
  sandboxes: Pick<SandboxService, 'list'>,
  stats: Pick<StatsService, 'sandboxes'>,
): Handler<ListPodSandboxStatsRequest, ListPodSandboxStatsResponse> {
  return async (request) => ({ stats: await listOfSandboxStats(sandboxes, stats, request.filter) })
}
