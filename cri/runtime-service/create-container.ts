import { invalidArgument } from '#lib/errors.ts'
import type { CreateContainerRequest, CreateContainerResponse } from '#proto/gen/runtime/v1/api.ts'
import type { ContainerService, SandboxService } from '#runtime/services.ts'
import { convertContainerConfig } from '../convert-container-config.ts'
import { requireSameUserNamespace, requireSandboxNamespaces } from '../convert-namespaces.ts'
import { ignored } from '../ignored.ts'
import type { Handler } from '../unary.ts'
import { within } from '../within.ts'

/** It goes on when the caller hangs up: kubelet's retry joins it. */
export function createContainer(
  containers: Pick<ContainerService, 'create'>,
  sandboxes: Pick<SandboxService, 'get'>,
): Handler<CreateContainerRequest, CreateContainerResponse> {
  return async (request) => {
    ignored(request.sandboxConfig, 'the same that RunPodSandbox got, and that the record of the sandbox has')
    const sandbox = sandboxes.get(request.podSandboxId)
    const spec = convertContainerConfig(request.config, sandbox.id)
    if (spec.security.privileged && !sandbox.spec.privileged) {
      throw invalidArgument(
        `container ${spec.name}: linux.security_context.privileged is true, but not of its sandbox ${sandbox.id}: ` +
          'set it in the config of both, or leave it out',
      )
    }
    within(`container ${spec.name}`, () => {
      requireSandboxNamespaces(
        request.config?.linux?.securityContext?.namespaceOptions,
        sandbox.spec.namespaces,
      )
      requireSameUserNamespace(spec.security.namespaces, sandbox.spec.namespaces)
    })
    return { containerId: await containers.create(spec) }
  }
}
