import type { PodSandboxStatsRequest, PodSandboxStatsResponse } from '#proto/gen/runtime/v1/api.ts'
import type { SandboxService, StatsService } from '#runtime/services.ts'
import { sandboxStatsToWire } from '../convert-stats.ts'
import type { Handler } from '../unary.ts'

/** Throws failed-precondition for a sandbox that is not ready: it uses nothing. */
export function podSandboxStats(
  sandboxes: Pick<SandboxService, 'ready'>,
  stats: Pick<StatsService, 'sandboxes'>,
): Handler<PodSandboxStatsRequest, PodSandboxStatsResponse> {
  return async (request) => {
    const [found] = await stats.sandboxes([sandboxes.ready(request.podSandboxId)])
    return { stats: found && sandboxStatsToWire(found) }
  }
}
