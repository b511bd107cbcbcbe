import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf } from '#lib/errors.ts'
import type { CgroupHierarchies } from './cgroups.ts'

const NAME = 'cri-ts-monitors'

/** Its disposal removes it, where no monitor is left in it. */
export interface MonitorCgroup extends Disposable {
  add(pid: number): void
}

/**
 * Monitors live in a cgroup of their own below the daemon's, never in a pod's: kubelet kills what is in those, and a
 * pod's memory limit is not to count them. On version 1 these three hierarchies matter.
 */
export function createMonitorCgroup(hierarchies: CgroupHierarchies): MonitorCgroup {
  const wanted = hierarchies.mounts.filter(({ name }) => /unified|memory|pids|name=systemd/.test(name))
  const own = readFileSync('/proc/self/cgroup', 'utf8')
  const directories = wanted.map(({ name, path }) => join(path, ownCgroup(own, name), NAME))
  return {
    add(pid) {
      for (const directory of directories) enter(directory, pid)
    },
    [Symbol.dispose]() {
      for (const directory of directories) removeIfEmpty(directory)
    },
  }
}

/** cgroups(7), /proc/PID/cgroup: `4:memory:/path`, on version 2 `0::/path`. */
export function ownCgroup(text: string, hierarchy: string): string {
  const controllers = hierarchy === 'unified' ? '' : hierarchy
  for (const line of text.split('\n')) {
    const [, names = '', ...path] = line.split(':')
    if (names === controllers && path.length > 0) {
      // A daemon that was started again by a monitor's own cgroup must not nest deeper each time.
      return path.join(':').replace(new RegExp(`/${NAME}$`), '')
    }
  }
  return '/'
}

/** Another daemon on this host may remove it while it is empty: then it is made again. */
function enter(directory: string, pid: number): void {
  for (let left = 10; ; left -= 1) {
    mkdirSync(directory, { recursive: true })
    try {
      writeFileSync(join(directory, 'cgroup.procs'), `${pid}`, { flag: 'r+' })
      return
    } catch (error) {
      if (errnoOf(error) === 'ESRCH') return // It has ended already.
      if (errnoOf(error) !== 'ENOENT' || left === 0) throw error
    }
  }
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory)
  } catch {
    // Monitors live in it.
  }
}
