import * as wire from '#proto/gen/runtime/v1/api.ts'
import type { SandboxRecord } from '#runtime/pod-sandbox/record.ts'
import { namespaceStatus } from './convert-namespaces.ts'

export function sandboxToWire({ id, spec, createdAtNs, state }: SandboxRecord): wire.PodSandbox {
  return {
    id,
    metadata: spec.metadata,
    state: sandboxState(state.phase),
    createdAt: BigInt(createdAtNs),
    labels: spec.labels,
    annotations: spec.annotations,
    runtimeHandler: spec.handler,
  }
}

export function sandboxStatusToWire(record: SandboxRecord): wire.PodSandboxStatus {
  const [ip = '', ...additional] = record.state.phase === 'creating' ? [] : record.state.ips
  return {
    ...sandboxToWire(record),
    network: { ip, additionalIps: additional.map((address) => ({ ip: address })) },
    linux: { namespaces: { options: namespaceStatus(record.spec.namespaces) } },
  }
}

export const sandboxState = (phase: SandboxRecord['state']['phase']): wire.PodSandboxState =>
  phase === 'ready' ? wire.PodSandboxState.SANDBOX_READY : wire.PodSandboxState.SANDBOX_NOTREADY
