import { closeSync, openSync } from 'node:fs'
import { CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWUTS, setns } from './libc.ts'

export type NamespaceKind = 'network' | 'ipc' | 'uts'
/** A process of many threads can enter none but the first three. */
export type PinnedKind = NamespaceKind | 'user'
export const flagOf = { network: CLONE_NEWNET, ipc: CLONE_NEWIPC, uts: CLONE_NEWUTS } as const
export const fileOf = { network: 'net', ipc: 'ipc', uts: 'uts', user: 'user' } as const

/**
 * Enters other namespaces of these kinds, acts and leaves again. All of it is synchronous: pool threads stay in the
 * host's namespaces, and nothing else may run on this thread meanwhile. A thread that cannot come back ends the process.
 */
export function elsewhere<Answer>(
  kinds: readonly NamespaceKind[],
  enter: () => void,
  act: () => Answer,
): Answer {
  const home = kinds.map((kind) => [openSync(`/proc/self/ns/${fileOf[kind]}`, 'r'), flagOf[kind]] as const)
  try {
    enter()
    return act()
  } finally {
    leave(home)
    for (const [fd] of home) closeSync(fd)
  }
}

/** Only between `elsewhere` and its end. */
export function enterNamespace(path: string, kind: NamespaceKind): void {
  const namespace = openSync(path, 'r')
  try {
    setns(namespace, flagOf[kind])
  } finally {
    closeSync(namespace)
  }
}

/** The same for the network namespace that is pinned at `path`. */
export const inNetwork = <Answer>(path: string, act: () => Answer): Answer =>
  elsewhere(['network'], () => enterNamespace(path, 'network'), act)

function leave(home: readonly (readonly [fd: number, flag: number])[]): void {
  try {
    for (const [fd, flag] of home) setns(fd, flag)
  } catch {
    process.abort()
  }
}
