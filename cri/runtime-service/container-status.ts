import { notFound } from '#lib/errors.ts'
import type { ContainerStatusRequest, ContainerStatusResponse } from '#proto/gen/runtime/v1/api.ts'
import type { ContainerRecord } from '#runtime/container/record.ts'
import type { ContainerService } from '#runtime/services.ts'
import { containerStatusToWire } from '../convert-container-status.ts'
import type { Handler } from '../unary.ts'
import { verboseInfo } from '../verbose-info.ts'

export function containerStatus(
  containers: Pick<ContainerService, 'get'>,
): Handler<ContainerStatusRequest, ContainerStatusResponse> {
  return (request) => {
    const record = containers.get(request.containerId)
    // Its creation may still fail: kubelet must not take it for a container.
    if (record.state.phase === 'creating') throw notFound('container', request.containerId)
    return {
      status: containerStatusToWire(record),
      info: verboseInfo(request.verbose, () => ({ info: infoOf(record) })),
    }
  }
}

/** `info.pid` and `info.sandboxID` are where scripts that read `crictl inspect` look for them. */
function infoOf({ spec, state, handler, imageId, user, logFile }: ContainerRecord): object {
  const pid = 'init' in state ? state.init.pid : 0
  return { pid, sandboxID: spec.sandboxId, handler, imageId, user, logFile, state, config: spec }
}
