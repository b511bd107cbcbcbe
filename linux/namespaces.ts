import { closeSync, existsSync, mkdirSync, openSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { CriError } from '#lib/errors.ts'
import type { StringMap } from '#runtime/pod-sandbox/record.ts'
import type { NamespacePaths, NamespaceRequest, Namespaces } from '#runtime/ports.ts'
import {
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWUTS,
  MS_BIND,
  mount,
  sethostname,
  setLoopbackUp,
  setns,
  unmount,
  unshare,
} from './libc.ts'
import { namesIn } from './names-in.ts'

type Kind = 'network' | 'ipc' | 'uts'
const kinds = ['network', 'ipc', 'uts'] as const
const flagOf = { network: CLONE_NEWNET, ipc: CLONE_NEWIPC, uts: CLONE_NEWUTS } as const
const fileOf = { network: 'net', ipc: 'ipc', uts: 'uts' } as const
const NSFS_MAGIC = 0x6e736673

/**
 * A pod's namespaces without a process: bind mounts pin them. Network namespaces lie in /run/netns, where `ip netns`
 * and the daemons of CNI plugins look, the others in `directory`.
 */
export function createNamespaces(directory: string): Namespaces {
  const pathOf = (id: string, kind: Kind): string =>
    kind === 'network' ? `/run/netns/cri-ts-${id}` : join(directory, id, fileOf[kind])

  return {
    async create(id, request) {
      const wanted = kinds.filter((kind) => request[kind])
      for (const kind of wanted) {
        mkdirSync(dirname(pathOf(id, kind)), { recursive: true, mode: 0o755 })
        writeFileSync(pathOf(id, kind), '', { mode: 0o444 })
      }
      const missingSysctls = wanted.length > 0 ? pin(wanted, request, (kind) => pathOf(id, kind)) : {}
      const paths = pathsOf((kind) => (wanted.includes(kind) ? pathOf(id, kind) : undefined))
      return { ...paths, missingSysctls }
    },

    async setSysctls(id, sysctls) {
      const network = openSync(pathOf(id, 'network'), 'r')
      try {
        elsewhere(
          ['network'],
          () => setns(network, CLONE_NEWNET),
          () => {
            for (const [name, value] of Object.entries(sysctls)) setSysctl(name, value)
          },
        )
      } finally {
        closeSync(network)
      }
    },

    async find(id) {
      return pathsOf((kind) => (isNamespace(pathOf(id, kind)) ? pathOf(id, kind) : undefined))
    },

    async remove(id) {
      for (const kind of kinds) {
        await unmount(pathOf(id, kind))
        rmSync(pathOf(id, kind), { force: true })
      }
      rmSync(join(directory, id), { recursive: true, force: true })
    },

    // Not /run/netns: it is every daemon's, and whoever has a network namespace here has a UTS namespace too.
    leftovers: () => namesIn(directory),
  }
}

/** Sets new namespaces up and pins them; answers the sysctls of the network that are not there yet. */
function pin(wanted: readonly Kind[], request: NamespaceRequest, pathOf: (kind: Kind) => string): StringMap {
  const missing: [name: string, value: string][] = []
  const enter = () => unshare(wanted.reduce((flags, kind) => flags | flagOf[kind], 0))
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

/**
 * Enters other namespaces of these kinds, acts and leaves again. All of it is synchronous: pool threads stay in the
 * host's namespaces, and nothing else may run on this thread meanwhile. A thread that cannot come back ends the process.
 */
function elsewhere(kinds: readonly Kind[], enter: () => void, act: () => void): void {
  const home = kinds.map((kind) => [openSync(`/proc/self/ns/${fileOf[kind]}`, 'r'), flagOf[kind]] as const)
  let entered = false
  try {
    enter()
    entered = true
    act()
  } finally {
    if (entered) leave(home)
    for (const [fd] of home) closeSync(fd)
  }
}

function leave(home: readonly (readonly [fd: number, flag: number])[]): void {
  try {
    for (const [fd, flag] of home) setns(fd, flag)
  } catch {
    process.abort()
  }
}

function setSysctl(name: string, value: string): void {
  const path = sysctlPath(name)
  try {
    writeFileSync(path, value)
  } catch (cause) {
    throw new CriError(
      'invalid-argument',
      `sysctl ${name}=${value}: ${path} does not take it in the pod's namespaces; check its name and value`,
      { cause },
    )
  }
}

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

function pathsOf(find: (kind: Kind) => string | undefined): NamespacePaths {
  return { network: find('network'), ipc: find('ipc'), uts: find('uts') }
}
