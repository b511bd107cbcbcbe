import type { ListPodSandboxRequest, ListPodSandboxResponse } from '#proto/gen/runtime/v1/api.ts'
import type { SandboxService } from '#runtime/services.ts'
import { listSandboxes } from '../list-sandboxes.ts'
import type { Handler } from '../unary.ts'

export function listPodSandbox(
  sandboxes: Pick<SandboxService, 'list'>,
): Handler<ListPodSandboxRequest, ListPodSandboxResponse> {
  return (request) => ({ items: listSandboxes(sandboxes, request.filter) })
}
