import { isNotFound } from '#lib/errors.ts'
import type { RemovePodSandboxRequest, RemovePodSandboxResponse } from '#proto/gen/runtime/v1/api.ts'
import type { SandboxService } from '#runtime/services.ts'
import type { Handler } from '../unary.ts'

/** Idempotent: one that is gone is removed (api.proto, RemovePodSandbox). */
export function removePodSandbox(
  sandboxes: Pick<SandboxService, 'remove'>,
): Handler<RemovePodSandboxRequest, RemovePodSandboxResponse> {
  return async (request) => {
    try {
      await sandboxes.remove(request.podSandboxId)
    } catch (error) {
      if (!isNotFound(error)) throw error
    }
    return {}
  }
}
