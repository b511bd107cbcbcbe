import { isDeepStrictEqual } from 'node:util'
import { invalidArgument } from '#lib/errors.ts'
import type { IdMappings } from '#lib/id-mappings.ts'
import * as wire from '#proto/gen/runtime/v1/api.ts'
import type { ContainerSpec } from '#runtime/container/record.ts'
import type { SandboxSpec } from '#runtime/pod-sandbox/record.ts'
import { convertEnum } from './convert-enum.ts'
import { convertPodMappings, idMappingsToWire } from './convert-id-mappings.ts'
import { ignored } from './ignored.ts'

const field = 'linux.security_context.namespace_options'

const modes = convertEnum({
  pod: wire.NamespaceMode.POD,
  container: wire.NamespaceMode.CONTAINER,
  node: wire.NamespaceMode.NODE,
  target: wire.NamespaceMode.TARGET,
})

/** api.proto, NamespaceOption: what is not said is POD. */
const unsaid = wire.NamespaceOption.decode(new Uint8Array())

/** Throws invalid-argument for a network or IPC namespace per container, and for what a user namespace rules out. */
export function convertSandboxNamespaces(options = unsaid): SandboxSpec['namespaces'] {
  ignored(options.targetId, 'only a container has a target')
  const pid = modes.fromWire(options.pid, `${field}.pid`)
  if (pid === 'target') throw invalidArgument(`${field}.pid is TARGET: only a container can join another's`)
  const ipc = podOrNode(options.ipc, 'ipc')
  const user = convertUserNamespace(options.usernsOptions)
  if (user !== undefined) requireOwn({ pid, ipc })
  return { network: podOrNode(options.network, 'network'), pid, ipc, ...(user === undefined ? {} : { user }) }
}

/** Throws invalid-argument for a TARGET that names no container, and for a user namespace of the container's own. */
export function convertContainerNamespaces(options = unsaid): ContainerSpec['security']['namespaces'] {
  const userNamespace = convertUserNamespace(options.usernsOptions)
  const user = userNamespace === undefined ? {} : { user: userNamespace }
  const pid = modes.fromWire(options.pid, `${field}.pid`)
  const { targetId } = options
  if (pid !== 'target') return { pid, targetId: '', ...user }
  if (targetId === '')
    throw invalidArgument(`${field}.target_id is empty: pid is TARGET, so name a container`)
  return { pid, targetId, ...user }
}

/** What PodSandboxStatus echoes. Kubelet replaces a sandbox whose network differs from the pod's. */
export function namespaceStatus({
  network,
  pid,
  ipc,
  user,
}: SandboxSpec['namespaces']): wire.NamespaceOption {
  return {
    network: modes.toWire(network),
    pid: modes.toWire(pid),
    ipc: modes.toWire(ipc),
    targetId: '',
    usernsOptions: user && {
      mode: modes.toWire('pod'),
      uids: idMappingsToWire(user.uids),
      gids: idMappingsToWire(user.gids),
    },
  }
}

function podOrNode(value: number, part: string): 'pod' | 'node' {
  const mode = modes.fromWire(value, `${field}.${part}`)
  if (mode === 'pod' || mode === 'node') return mode
  throw invalidArgument(`${field}.${part} is ${mode.toUpperCase()}: it may be POD or NODE`)
}

/** Kubelet says NODE for a pod without one. */
function convertUserNamespace(options: wire.UserNamespace | undefined): IdMappings | undefined {
  if (options === undefined) return undefined
  const at = `${field}.userns_options`
  if (podOrNode(options.mode, 'userns_options.mode') === 'pod') return convertPodMappings(options, at)
  const stray = (['uids', 'gids'] as const).find((part) => options[part].length > 0)
  if (stray === undefined) return undefined
  throw invalidArgument(`${at}.${stray} is set, but mode is NODE: the host's user namespace maps nothing`)
}

/** What belongs to the host's user namespace can't be used from another: no /proc and no /dev/mqueue would mount. */
function requireOwn(modes: { readonly pid: string; readonly ipc: string }): void {
  for (const [part, mode] of Object.entries(modes)) {
    if (mode !== 'node') continue
    throw invalidArgument(
      `${field}.${part} is NODE, but userns_options.mode is POD: a pod in a user namespace can't use the host's ${part} namespace`,
    )
  }
}

/**
 * A container has the network and the IPC namespace of its sandbox. POD, which is also what is not said, means these.
 * Throws invalid-argument for one that asks for the host's where the sandbox has its own.
 */
export function requireSandboxNamespaces(options = unsaid, sandbox: SandboxSpec['namespaces']): void {
  for (const part of ['network', 'ipc'] as const) {
    const mode = podOrNode(options[part], part)
    if (mode === 'pod' || sandbox[part] === 'node') continue
    throw invalidArgument(
      `${field}.${part} is NODE, but its sandbox's is POD: set it in the sandbox's config too, or leave it out`,
    )
  }
}

/** Throws invalid-argument where a container and its sandbox differ in their user namespace. */
export function requireSameUserNamespace(
  container: ContainerSpec['security']['namespaces'],
  sandbox: SandboxSpec['namespaces'],
): void {
  if (isDeepStrictEqual(container.user, sandbox.user)) return
  throw invalidArgument(
    `${field}.userns_options is ${described(container.user)}, but its sandbox's is ${described(sandbox.user)}: give both the same`,
  )
}

const described = (user: IdMappings | undefined): string =>
  user === undefined
    ? 'NODE'
    : `POD with ${Object.entries(user)
        .map(([part, { containerId, hostId, length }]) => `${part} ${containerId}:${hostId}:${length}`)
        .join(' and ')}`
