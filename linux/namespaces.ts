import { existsSync, mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { CriError } from '#lib/errors.ts'
import type { StringMap } from '#runtime/pod-sandbox/record.ts'
import type { NamespacePaths, NamespaceRequest, Namespaces } from '#runtime/ports.ts'
import { elsewhere, fileOf, flagOf, inNetwork, type NamespaceKind as Kind } from './enter-namespaces.ts'
import { MS_BIND, mount, sethostname, setLoopbackUp, unmount, unshare } from './libc.ts'
import { namesIn } from './names-in.ts'

const kinds = ['network', 'ipc', 'uts'] as const
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
      inNetwork(pathOf(id, 'network'), () => {
        for (const [name, value] of Object.entries(sysctls)) setSysctl(name, value)
      })
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
