import { invalidArgument } from '#lib/errors.ts'
import * as wire from '#proto/gen/runtime/v1/api.ts'
import type { ContainerSpec } from '#runtime/container/record.ts'
import type { SandboxSpec } from '#runtime/pod-sandbox/record.ts'
import { convertEnum } from './convert-enum.ts'
import { ignored } from './ignored.ts'
import { refuse } from './refuse.ts'

const field = 'linux.security_context.namespace_options'

const modes = convertEnum({
  pod: wire.NamespaceMode.POD,
  container: wire.NamespaceMode.CONTAINER,
  node: wire.NamespaceMode.NODE,
  target: wire.NamespaceMode.TARGET,
})

/** api.proto, NamespaceOption: what is not said is POD. */
const unsaid = wire.NamespaceOption.decode(new Uint8Array())

/** Throws invalid-argument for a network or IPC namespace per container, unimplemented for a user namespace. */
export function convertSandboxNamespaces(options = unsaid): SandboxSpec['namespaces'] {
  ignored(options.targetId, 'only a container has a target')
  refuseUserNamespace(options.usernsOptions)
  const pid = modes.fromWire(options.pid, `${field}.pid`)
  if (pid === 'target') throw invalidArgument(`${field}.pid is TARGET: only a container can join another's`)
  return { network: podOrNode(options.network, 'network'), pid, ipc: podOrNode(options.ipc, 'ipc') }
}

/** Throws invalid-argument for a TARGET that names no container, unimplemented for a user namespace. */
export function convertContainerNamespaces(options = unsaid): ContainerSpec['security']['namespaces'] {
  ignored([options.network, options.ipc], 'a container has those of its sandbox')
  refuseUserNamespace(options.usernsOptions)
  const pid = modes.fromWire(options.pid, `${field}.pid`)
  const { targetId } = options
  if (pid !== 'target') return { pid, targetId: '' }
  if (targetId === '')
    throw invalidArgument(`${field}.target_id is empty: pid is TARGET, so name a container`)
  return { pid, targetId }
}

/** What PodSandboxStatus echoes. Kubelet replaces a sandbox whose network differs from the pod's. */
export function namespaceStatus({ network, pid, ipc }: SandboxSpec['namespaces']): wire.NamespaceOption {
  return {
    network: modes.toWire(network),
    pid: modes.toWire(pid),
    ipc: modes.toWire(ipc),
    targetId: '',
    usernsOptions: undefined,
  }
}

function podOrNode(value: number, part: string): 'pod' | 'node' {
  const mode = modes.fromWire(value, `${field}.${part}`)
  if (mode === 'pod' || mode === 'node') return mode
  throw invalidArgument(`${field}.${part} is ${mode.toUpperCase()}: it may be POD or NODE`)
}

/** Kubelet says NODE for a pod without one. */
function refuseUserNamespace(options: wire.UserNamespace | undefined): void {
  if (options === undefined) return
  ignored(options.uids, 'of use in a user namespace only, which is refused')
  ignored(options.gids, 'of use in a user namespace only, which is refused')
  const mode = podOrNode(options.mode, 'userns_options.mode')
  refuse(mode === 'pod' ? options : undefined, {
    field: `${field}.userns_options`,
    what: 'a user namespace',
    remedy: "run the pod in the host's (hostUsers: true)",
  })
}
