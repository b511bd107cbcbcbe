import type { PodSandboxStatusRequest, PodSandboxStatusResponse } from '#proto/gen/runtime/v1/api.ts'
import type { SandboxRecord } from '#runtime/pod-sandbox/record.ts'
import type { SandboxService } from '#runtime/services.ts'
import { sandboxStatusToWire } from '../convert-sandbox-status.ts'
import type { Handler } from '../unary.ts'
import { verboseInfo } from '../verbose-info.ts'

/** `containers_statuses` and `timestamp` are for the evented PLEG and left empty, as GetContainerEvents is not there. */
export function podSandboxStatus(
  sandboxes: Pick<SandboxService, 'get'>,
): Handler<PodSandboxStatusRequest, PodSandboxStatusResponse> {
  return (request) => {
    const record = sandboxes.get(request.podSandboxId)
    return {
      status: sandboxStatusToWire(record),
      info: verboseInfo(request.verbose, () => ({ info: infoOf(record) })),
      containersStatuses: [],
      timestamp: 0n,
    }
  }
}

/** `info.pid` is where scripts that read `crictl inspectp` look for it; most sandboxes have no process. */
function infoOf({ spec, state, updatedResources }: SandboxRecord): object {
  const pid = state.phase === 'ready' ? (state.init?.init.pid ?? 0) : 0
  return { pid, handler: spec.handler, state, resources: updatedResources ?? spec.resources, config: spec }
}
