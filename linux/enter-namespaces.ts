import { closeSync, openSync } from 'node:fs'
import { CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWUTS, setns } from './libc.ts'

export type NamespaceKind = 'network' | 'ipc' | 'uts'
export const flagOf = { network: CLONE_NEWNET, ipc: CLONE_NEWIPC, uts: CLONE_NEWUTS } as const
export const fileOf = { network: 'net', ipc: 'ipc', uts: 'uts' } as const

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
  let entered = false
  try {
    enter()
    entered = true
    return act()
  } finally {
    if (entered) leave(home)
    for (const [fd] of home) closeSync(fd)
  }
}

/** The same for the network namespace that is pinned at `path`. */
export function inNetwork<Answer>(path: string, act: () => Answer): Answer {
  const network = openSync(path, 'r')
  try {
    return elsewhere(['network'], () => setns(network, CLONE_NEWNET), act)
  } finally {
    closeSync(network)
  }
}

function leave(home: readonly (readonly [fd: number, flag: number])[]): void {
  try {
    for (const [fd, flag] of home) setns(fd, flag)
  } catch {
    process.abort()
  }
}
