import { closeSync, openSync, statSync } from 'node:fs'
import { release } from 'node:os'
import { dirname } from 'node:path'
import { describeError } from '#lib/errors.ts'
import { cloneMount } from './mount-api.ts'
import type { ProcessWatcher } from './process-watcher.ts'
import { holdUserNamespace } from './user-namespace.ts'

export interface UserNamespaceNeeds {
  readonly watcher: ProcessWatcher
  /** Where layers lie: their ids are mapped. */
  readonly root: string
  /** What the root of a pod's user namespace must be able to enter. */
  readonly homes: string
  /** For tests: the kernel's release, as uname(2) has it. */
  readonly kernel?: string
}

/** tmpfs, which secrets and service account tokens lie on, maps ids since then. */
const OLDEST_KERNEL = [6, 3] as const

/** Why pods can't have user namespaces on this host, with the remedy; '' where they can. Looked at by doing it once. */
export async function userNamespaceProblem(needs: UserNamespaceNeeds): Promise<string> {
  const { watcher, root, homes, kernel = release() } = needs
  if (isOlder(kernel))
    return `Linux ${kernel} can't map the ids of tmpfs: user namespaces need ${OLDEST_KERNEL.join('.')} or newer`
  const closed = ancestors(homes).find((path) => (statSync(path).mode & 0o001) === 0)
  if (closed !== undefined) {
    return `${closed} can't be entered by the root of a user namespace: chmod o+x it, or set state to a directory elsewhere`
  }
  const mapping = { containerId: 0, hostId: 65_536, length: 65_536 }
  try {
    await using holder = await holdUserNamespace({ uids: mapping, gids: mapping }, [], { watcher })
    tryToMap(root, holder.path('user'))
    return ''
  } catch (error) {
    return `ids of ${root} can't be mapped: ${describeError(error)}`
  }
}

function isOlder(kernel: string): boolean {
  const [major = 0, minor = 0] = kernel.split('.').map((part) => Number.parseInt(part, 10))
  return major < OLDEST_KERNEL[0] || (major === OLDEST_KERNEL[0] && minor < OLDEST_KERNEL[1])
}

const ancestors = (path: string): readonly string[] =>
  path === '/' ? ['/'] : [path, ...ancestors(dirname(path))]

/** Nothing is mounted by that: the copy is attached nowhere. */
function tryToMap(directory: string, userNamespace: string): void {
  const namespace = openSync(userNamespace, 'r')
  try {
    using copy = cloneMount(directory, false)
    copy.mapIds(namespace, false)
  } finally {
    closeSync(namespace)
  }
}
