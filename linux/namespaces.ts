import { existsSync, mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { CriError } from '#lib/errors.ts'
import { hostIdOf, type IdMappings } from '#lib/id-mappings.ts'
import type { NamespacePaths, NamespaceRequest, Namespaces } from '#runtime/namespaces-port.ts'
import type { StringMap } from '#runtime/pod-sandbox/record.ts'
import { runCommand } from './command.ts'
import {
  elsewhere,
  enterNamespace,
  fileOf,
  flagOf,
  inNetwork,
  type NamespaceKind as Kind,
  type PinnedKind,
} from './enter-namespaces.ts'
import { MS_BIND, mount, sethostname, setLoopbackUp, unmount, unshare } from './libc.ts'
import { namesIn } from './names-in.ts'
import type { HeldLocks } from './object-lock.ts'
import type { ProcessWatcher } from './process-watcher.ts'
import { holdUserNamespace, program } from './user-namespace.ts'

const kinds = ['network', 'ipc', 'uts'] as const
const pinnedKinds = [...kinds, 'user'] as const
const NSFS_MAGIC = 0x6e736673
const SYSCTL_TIMEOUT_MS = 10_000

export interface NamespacesOptions {
  readonly watcher: ProcessWatcher
  /** The lock of a pod, for what runs on its behalf: see linux/object-lock.ts. */
  readonly lock: HeldLocks['hold']
}

/**
 * A pod's namespaces without a process: bind mounts pin them. Network namespaces lie in /run/netns, where `ip netns`
 * and the daemons of CNI plugins look, the others in `directory`.
 */
export function createNamespaces(directory: string, { watcher, lock }: NamespacesOptions): Namespaces {
  const pathOf = (id: string, kind: PinnedKind): string =>
    kind === 'network' ? `/run/netns/cri-ts-${id}` : join(directory, id, fileOf[kind])

  /** Those that belong to a new user namespace, which is pinned too. */
  async function pinOwned(
    id: string,
    wanted: readonly Kind[],
    request: NamespaceRequest & { readonly user: IdMappings },
  ): Promise<StringMap> {
    using held = lock(id)
    const at = (kind: PinnedKind): string => pathOf(id, kind)
    const isNetwork = ([name]: readonly [string, string]): boolean => name.startsWith('net')
    const sysctls = Object.entries(request.sysctls)
    await using holder = await holdUserNamespace(request.user, wanted, { watcher, lockFd: held.fd })
    mount(holder.path('user'), at('user'), '', MS_BIND)
    const enter = () => wanted.forEach((kind) => enterNamespace(holder.path(kind), kind))
    const ofNetwork = sysctls
      .filter(isNetwork)
      .map(([name, value]) => [name, inHostIds(name, value, request.user)])
    const own = { ...request, sysctls: Object.fromEntries(ofNetwork) }
    const missing = pin(wanted, own, at, enter)
    for (const [name, value] of sysctls) {
      if (!isNetwork([name, value])) await setSysctlAsRoot(name, value, at, { watcher, lockFd: held.fd })
    }
    return missing
  }

  return {
    async create(id, request) {
      const { user } = request
      const wanted = kinds.filter((kind) => request[kind])
      const pinned: readonly PinnedKind[] = user === undefined ? wanted : [...wanted, 'user']
      for (const kind of pinned) {
        mkdirSync(dirname(pathOf(id, kind)), { recursive: true, mode: 0o755 })
        writeFileSync(pathOf(id, kind), '', { mode: 0o444 })
      }
      const paths = pathsOf((kind) => (pinned.includes(kind) ? pathOf(id, kind) : undefined))
      if (user !== undefined)
        return { ...paths, missingSysctls: await pinOwned(id, wanted, { ...request, user }) }
      const enter = () => unshare(wanted.reduce((flags, kind) => flags | flagOf[kind], 0))
      const missingSysctls = wanted.length > 0 ? pin(wanted, request, (kind) => pathOf(id, kind), enter) : {}
      return { ...paths, missingSysctls }
    },

    async setSysctls(id, sysctls) {
      inNetwork(pathOf(id, 'network'), () => {
        for (const [name, value] of Object.entries(sysctls)) setSysctl(name, value)
      })
    },

    async find(id) {
      return pathsOf((kind) => (isNamespace(pathOf(id, kind)) ? pathOf(id, kind) : undefined))
    },

    async remove(id) {
      for (const kind of pinnedKinds) {
        await unmount(pathOf(id, kind))
        rmSync(pathOf(id, kind), { force: true })
      }
      rmSync(join(directory, id), { recursive: true, force: true })
    },

    // Not /run/netns: it is every daemon's, and whoever has a network namespace here has a UTS namespace too.
    leftovers: () => namesIn(directory),
  }
}

/** Sets the namespaces that `enter` leads into up and pins them; answers the sysctls of the network that are not there yet. */
function pin(
  wanted: readonly Kind[],
  request: NamespaceRequest,
  pathOf: (kind: Kind) => string,
  enter: () => void,
): StringMap {
  const missing: [name: string, value: string][] = []
  elsewhere(wanted, enter, () => {
    if (request.network) setLoopbackUp()
    if (request.uts) sethostname(request.hostname)
    for (const [name, value] of Object.entries(request.sysctls)) {
      if (request.network && isMissingOfNetwork(name)) missing.push([name, value])
      else setSysctl(name, value)
    }
    for (const kind of wanted) mount(`/proc/self/ns/${fileOf[kind]}`, pathOf(kind), '', MS_BIND)
  })
  return Object.fromEntries(missing)
}

function setSysctl(name: string, value: string): void {
  try {
    writeFileSync(sysctlPath(name), value)
  } catch (cause) {
    throw notTaken(name, value, cause)
  }
}

/** A range of groups means those of the pod; the kernel takes it as who writes it has them: the host. */
function inHostIds(name: string, value: string, { gids }: IdMappings): string {
  const [first, last] = value.trim().split(/\s+/).map(Number)
  if (sysctlPath(name) !== sysctlPath('net.ipv4.ping_group_range')) return value
  const begin = hostIdOf(gids, first ?? -1)
  if (begin === undefined || last === undefined || !(last >= (first ?? 0))) return value
  return `${begin} ${hostIdOf(gids, last) ?? gids.hostId + gids.length - 1}`
}

/** Those of an IPC namespace belong to the root of its user namespace: the host's may not write them. */
async function setSysctlAsRoot(
  name: string,
  value: string,
  pathOf: (kind: PinnedKind) => string,
  { watcher, lockFd }: { readonly watcher: ProcessWatcher; readonly lockFd: number },
): Promise<void> {
  const enter = [`--user=${pathOf('user')}`, `--ipc=${pathOf('ipc')}`, '--setuid=0', '--setgid=0']
  const argv = [program('nsenter'), ...enter, '--', program('tee'), sysctlPath(name)] as const
  const command = { argv, stdin: value, timeoutMs: SYSCTL_TIMEOUT_MS, heldFds: [lockFd] }
  const { exitCode, stderr } = await runCommand(watcher, command)
  if (exitCode !== 0) throw notTaken(name, value, new Error(stderr))
}

const notTaken = (name: string, value: string, cause: unknown): CriError =>
  new CriError(
    'invalid-argument',
    `sysctl ${name}=${value}: ${sysctlPath(name)} does not take it in the pod's namespaces; check its name and value`,
    { cause },
  )

function isMissingOfNetwork(name: string): boolean {
  const path = sysctlPath(name)
  return path.startsWith('/proc/sys/net/') && !existsSync(path)
}

/** sysctl.d(5): if the first separator is a slash, dots are part of a name; else they separate and slashes are dots. */
export function sysctlPath(name: string): string {
  const first = name.search(/[./]/)
  if (first < 0 || name[first] === '/') return `/proc/sys/${name}`
  return `/proc/sys/${name.replace(/[./]/g, (separator) => (separator === '.' ? '/' : '.'))}`
}

function isNamespace(path: string): boolean {
  try {
    return statfsSync(path).type === NSFS_MAGIC
  } catch {
    return false
  }
}

function pathsOf(find: (kind: PinnedKind) => string | undefined): NamespacePaths {
  return { network: find('network'), ipc: find('ipc'), uts: find('uts'), user: find('user') }
}
