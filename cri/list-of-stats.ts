import type {
  ContainerStats,
  ContainerStatsFilter,
  PodSandboxStats,
  PodSandboxStatsFilter,
} from '#proto/gen/runtime/v1/api.ts'
import type { ContainerService, SandboxService, StatsService } from '#runtime/services.ts'
import { containerStatsToWire, sandboxStatsToWire } from './convert-stats.ts'
import { containerStatsFilter, sandboxStatsFilter } from './list-filter.ts'

/** Of all containers, also of those that do not run. */
export async function listOfContainerStats(
  containers: Pick<ContainerService, 'list'>,
  stats: Pick<StatsService, 'containers'>,
  filter: ContainerStatsFilter | undefined,
): Promise<readonly ContainerStats[]> {
  const found = await stats.containers(containers.list().filter(containerStatsFilter(filter)))
  return found.map(containerStatsToWire)
}

/** Of the sandboxes that are ready, as with containerd: the others use nothing. */
export async function listOfSandboxStats(
  sandboxes: Pick<SandboxService, 'list'>,
  stats: Pick<StatsService, 'sandboxes'>,
  filter: PodSandboxStatsFilter | undefined,
): Promise<readonly PodSandboxStats[]> {
  const ready = sandboxes.list().filter(({ state }) => state.phase === 'ready')
  const found = await stats.sandboxes(ready.filter(sandboxStatsFilter(filter)))
  return found.map(sandboxStatsToWire)
}
