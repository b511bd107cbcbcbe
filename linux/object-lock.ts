import { closeSync, mkdirSync, openSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ObjectLocks } from '#runtime/ports.ts'
import { flock, LOCK_EX, LOCK_NB, LOCK_SH } from './libc.ts'
import { namesIn } from './names-in.ts'

/**
 * A lock file per object, which every program started for it holds shared (an inherited fd). After a crash of the
 * daemon such a program may still act: `settle` waits for it, then kills it, before the object is torn down.
 */
export interface HeldLocks extends ObjectLocks {
  /** Held until it is disposed and every child that inherited `fd` has ended. */
  hold(id: string): Disposable & { readonly fd: number }
}

/** How long a program that an earlier daemon left behind may go on before it is killed. */
const PATIENCE_MS = 5_000

export function createObjectLocks(directory: string, usualPatienceMs = PATIENCE_MS): HeldLocks {
  const path = (id: string): string => join(directory, id)

  return {
    hold(id) {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      const fd = openSync(path(id), 'a', 0o600)
      flock(fd, LOCK_SH | LOCK_NB)
      return { fd, [Symbol.dispose]: () => closeSync(fd) }
    },

    async settle(id, patienceMs = usualPatienceMs) {
      const deadline = performance.now() + patienceMs
      while (!isFree(path(id))) {
        if (performance.now() > deadline) killHolders(path(id))
        await sleep(10)
      }
    },

    kill: (id) => killHolders(path(id)),

    remove(id) {
      rmSync(path(id), { force: true })
    },

    leftovers: () => namesIn(directory),
  }
}

function isFree(path: string): boolean {
  let fd: number
  try {
    fd = openSync(path, 'r+')
  } catch {
    return true // Never held, or removed.
  }
  try {
    return flock(fd, LOCK_EX | LOCK_NB)
  } finally {
    closeSync(fd)
  }
}

function killHolders(path: string): void {
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid || !holds(pid, path)) continue
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // It has ended by itself.
    }
  }
}

function holds(pid: string, path: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => linkOf(`/proc/${pid}/fd/${fd}`) === path)
  } catch {
    return false
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}
