import { isNotFound } from '#lib/errors.ts'
import type { StopPodSandboxRequest, StopPodSandboxResponse } from '#proto/gen/runtime/v1/api.ts'
import type { SandboxService } from '#runtime/services.ts'
import type { Handler } from '../unary.ts'

/** Idempotent: one that is gone is stopped (api.proto, StopPodSandbox). */
export function stopPodSandbox(
  sandboxes: Pick<SandboxService, 'stop'>,
): Handler<StopPodSandboxRequest, StopPodSandboxResponse> {
  return async (request) => {
    try {
      await sandboxes.stop(request.podSandboxId)
    } catch (error) {
      if (!isNotFound(error)) throw error
    }
    return {}
  }
}
