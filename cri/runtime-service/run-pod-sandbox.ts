import { invalidArgument } from '#lib/errors.ts'
import { nearestName } from '#lib/names.ts'
import type { RunPodSandboxRequest, RunPodSandboxResponse } from '#proto/gen/runtime/v1/api.ts'
import type { SandboxService } from '#runtime/services.ts'
import { convertSandboxConfig } from '../convert-sandbox-config.ts'
import type { Handler } from '../unary.ts'
import type { HandlerStatus, RuntimeStatus } from './runtime-status.ts'

/** It goes on when the caller hangs up: kubelet's retry joins it. */
export function runPodSandbox(
  sandboxes: Pick<SandboxService, 'run'>,
  status: Pick<RuntimeStatus, 'handlers'>,
): Handler<RunPodSandboxRequest, RunPodSandboxResponse> {
  return async (request) => {
    const handler = handlerNamed(request.runtimeHandler, status.handlers())
    return { podSandboxId: await sandboxes.run(convertSandboxConfig(request.config, handler)) }
  }
}

function handlerNamed(wanted: string, handlers: readonly HandlerStatus[]): string {
  const handler = handlers.find(({ name, isDefault }) => (wanted === '' ? isDefault : name === wanted))
  if (handler !== undefined) return handler.name
  const names = handlers.map(({ name }) => name)
  const nearest = nearestName(wanted, names)
  const hint = nearest === undefined ? '' : ` (did you mean ${nearest}?)`
  throw invalidArgument(
    `runtime_handler ${wanted || '(the default)'} is not configured, or its program not installed${hint}: this host has ${names.join(', ') || 'none'}; ` +
      '[runtime.handlers.NAME] in the configuration adds one, and `crictl info` says what is wrong with one that is there',
  )
}
