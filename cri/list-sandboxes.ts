import type { PodSandbox, PodSandboxFilter } from '#proto/gen/runtime/v1/api.ts'
import type { SandboxService } from '#runtime/services.ts'
import { sandboxToWire } from './convert-sandbox-status.ts'
import { sandboxFilter } from './list-filter.ts'

/** Without those being created: kubelet would take one for the next attempt's. */
export function listSandboxes(
  sandboxes: Pick<SandboxService, 'list'>,
  filter: PodSandboxFilter | undefined,
): PodSandbox[] {
  return sandboxes
    .list()
    .filter(({ state }) => state.phase !== 'creating')
    .map(sandboxToWire)
    .filter(sandboxFilter(filter))
}
