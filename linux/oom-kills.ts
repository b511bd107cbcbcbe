import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type CgroupHierarchies, cgroupAt, cgroupDirectory } from './cgroups.ts'

/** Knows which containers the kernel has killed for want of memory. `home` is the container's own directory. */
export interface OomKills {
  /** To be called before the container is created. */
  begin(home: string, cgroupsPath: string): void
  /** Whether it was, now that it has ended; the same when it is asked again. */
  ended(home: string, cgroupsPath: string | undefined, exitCode: number): boolean
}

const SIGKILLED = 137

/**
 * Told by the monitor's mark (`oom`), or the counter of the container's cgroup. systemd removes a scope as soon as it
 * is empty, often before either was looked at. The pod's slice stays: on version 2 it counts the same kills. One there
 * that is nobody else's belongs to the container that has just ended by SIGKILL and without a cgroup.
 */
export function createOomKills(hierarchies: CgroupHierarchies): OomKills {
  /** By slice: up to which count its kills have been told. */
  const told = new Map<string, number>()
  const killsIn = (directory: string): number | undefined => cgroupAt(hierarchies, directory).oomKills()

  /** The pod's; system.slice, without a pod's own, counts the kills of the host's services too. */
  const sliceOf = (cgroupsPath: string): string | undefined => {
    const isScope = hierarchies.version === 2 && cgroupsPath.includes(':')
    return isScope && !cgroupsPath.startsWith('system.slice:')
      ? dirname(cgroupDirectory(cgroupsPath))
      : undefined
  }

  const isKillOfSlice = (home: string, slice: string, exitCode: number): boolean => {
    const kills = killsIn(slice) ?? 0
    const others = Math.max(told.get(slice) ?? 0, readCount(join(home, BEFORE)))
    told.set(slice, kills)
    return exitCode === SIGKILLED && kills > others
  }

  return {
    begin(home, cgroupsPath) {
      const slice = sliceOf(cgroupsPath)
      if (slice !== undefined) writeFileSync(join(home, BEFORE), `${killsIn(slice) ?? 0}`)
    },

    ended(home, cgroupsPath, exitCode) {
      if (cgroupsPath === undefined) return false
      const mark = join(home, 'oom')
      const slice = sliceOf(cgroupsPath)
      const own = killsIn(cgroupDirectory(cgroupsPath))
      const isMarked = existsSync(mark) || (own ?? 0) > 0
      const isKill = slice !== undefined && isKillOfSlice(home, slice, exitCode) && own === undefined
      if (!isMarked && isKill) writeFileSync(mark, '')
      return exitCode !== 0 && (isMarked || isKill)
    },
  }
}

/** In `home`: the kills in the slice before the container was created. */
const BEFORE = 'oom-before'

const readCount = (file: string): number => (existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0)
