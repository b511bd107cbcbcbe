import type { ContainerStatsRequest, ContainerStatsResponse } from '#proto/gen/runtime/v1/api.ts'
import type { ContainerService, StatsService } from '#runtime/services.ts'
import { containerStatsToWire } from '../convert-stats.ts'
import type { Handler } from '../unary.ts'

export function containerStats(
  containers: Pick<ContainerService, 'get'>,
  stats: Pick<StatsService, 'containers'>,
): Handler<ContainerStatsRequest, ContainerStatsResponse> {
  return async (request) => {
    const [found] = await stats.containers([containers.get(request.containerId)])
    return { stats: found && containerStatsToWire(found) }
  }
}
