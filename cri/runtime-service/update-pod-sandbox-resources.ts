import { invalidArgument } from '#lib/errors.ts'
import type {
  UpdatePodSandboxResourcesRequest,
  UpdatePodSandboxResourcesResponse,
} from '#proto/gen/runtime/v1/api.ts'
import type { SandboxService } from '#runtime/services.ts'
import { convertPodResources } from '../convert-pod-resources.ts'
import type { Handler } from '../unary.ts'

/**
 * Kubelet tells what it has set in the pod's cgroup, which is its own: it is kept, and `crictl inspectp` shows it.
 * So do containerd and CRI-O, beside telling NRI plugins; no cgroup is changed.
 */
export function updatePodSandboxResources(
  sandboxes: Pick<SandboxService, 'updateResources'>,
): Handler<UpdatePodSandboxResourcesRequest, UpdatePodSandboxResourcesResponse> {
  return async (request) => {
    const resources = convertPodResources(request, '')
    if (resources === undefined) {
      throw invalidArgument('overhead and resources are missing: give at least one of them')
    }
    await sandboxes.updateResources(request.podSandboxId, resources)
    return {}
  }
}
