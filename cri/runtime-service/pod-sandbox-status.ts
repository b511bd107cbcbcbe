import type { PodSandboxStatusRequest, PodSandboxStatusResponse } from '#proto/gen/runtime/v1/api.ts'
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
      info: verboseInfo(request.verbose, () => ({ info: { config: record.spec, state: record.state } })),
      containersStatuses: [],
      timestamp: 0n,
    }
  }
}
