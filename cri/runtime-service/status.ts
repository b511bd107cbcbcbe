import { describeError } from '#lib/errors.ts'
import type {
  RuntimeCondition,
  RuntimeHandler,
  StatusRequest,
  StatusResponse,
} from '#proto/gen/runtime/v1/api.ts'
import type { NetworkStatus } from '#runtime/ports.ts'
import type { StartGate } from '../start-gate.ts'
import type { Handler } from '../unary.ts'
import { verboseInfo } from '../verbose-info.ts'
import type { HandlerStatus, RuntimeStatus } from './runtime-status.ts'

/** Served from the first moment on: until the gate is open, the runtime is not ready. */
export function status(runtime: RuntimeStatus, gate: StartGate): Handler<StatusRequest, StatusResponse> {
  return async (request) => ({
    status: { conditions: [runtimeReady(runtime, gate), await networkReady(runtime)] },
    runtimeHandlers: runtime.handlers().flatMap(handlersToWire),
    features: {
      supplementalGroupsPolicy: true,
      userNamespacesHostNetwork: runtime.handlers().some(({ userNamespaces }) => userNamespaces),
      mountOptions: true,
    },
    info: verboseInfo(request.verbose, () => runtime.info()),
  })
}

function runtimeReady(runtime: RuntimeStatus, gate: StartGate): RuntimeCondition {
  const type = 'RuntimeReady'
  if (!gate.isOpen) {
    const message = 'cri-ts is starting and reads what runs on this host'
    return { type, status: false, reason: 'Starting', message }
  }
  const { ready, reason, message } = runtime.runtime()
  return { type, status: ready, reason, message }
}

async function networkReady(runtime: RuntimeStatus): Promise<RuntimeCondition> {
  const network = await runtime.network().catch(
    (error: unknown): NetworkStatus => ({
      ready: false,
      reason: 'NetworkStatusUnknown',
      message: describeError(error),
    }),
  )
  const { reason, message } = network.ready ? { reason: '', message: '' } : network
  return { type: 'NetworkReady', status: network.ready, reason, message }
}

/** Kubelet looks the default handler up under the name ''. */
function handlersToWire(handler: HandlerStatus): RuntimeHandler[] {
  const { recursiveReadOnlyMounts, userNamespaces } = handler
  const names = handler.isDefault ? ['', handler.name] : [handler.name]
  return names.map((name) => ({ name, features: { recursiveReadOnlyMounts, userNamespaces } }))
}
