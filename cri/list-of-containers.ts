import type { Container, ContainerFilter } from '#proto/gen/runtime/v1/api.ts'
import type { ContainerService } from '#runtime/services.ts'
import { containerToWire } from './convert-container-status.ts'
import { containerFilter } from './list-filter.ts'

/** Without those being created: kubelet would take one for the next attempt's. */
export function listOfContainers(
  containers: Pick<ContainerService, 'list'>,
  filter: ContainerFilter | undefined,
): Container[] {
  return containers
    .list()
    .filter(({ state }) => state.phase !== 'creating')
    .map(containerToWire)
    .filter(containerFilter(filter))
}
