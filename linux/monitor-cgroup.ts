import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { errnoOf } from '#lib/errors.ts'
import { type CgroupHierarchies, cgroupDirectory } from './cgroups.ts'

const NAME = 'cri-ts-monitors'

/** The disposal removes them, where no monitor is left. */
export interface MonitorCgroups extends Disposable {
  /** `setting` is a handler's monitor_cgroup, `cgroupsPath` that of the container. */
  add(pid: number, setting: string | undefined, cgroupsPath: string): void
  /** Removes what `pod` has made in a container's pod, as far as it is empty. */
  leave(cgroupsPath: string): void
}

/**
 * By default monitors live in a cgroup of their own below the daemon's, not in a pod's: kubelet kills what is in those,
 * and a pod's memory limit is not to count them. On version 1 these three hierarchies matter.
 * `settings`: those of all handlers.
 */
export function createMonitorCgroups(
  hierarchies: CgroupHierarchies,
  settings: readonly (string | undefined)[] = [],
): MonitorCgroups {
  const wanted = hierarchies.mounts.filter(({ name }) => /unified|memory|pids|name=systemd/.test(name))
  const own = readFileSync('/proc/self/cgroup', 'utf8')
  const inPod = (cgroupsPath: string): readonly string[] =>
    wanted.map(({ path }) => join(path, dirname(cgroupDirectory(cgroupsPath)), NAME))
  const lasting = (setting: string | undefined): readonly string[] =>
    wanted.map(({ name, path }) =>
      setting === undefined ? join(path, ownCgroup(own, name), NAME) : join(path, setting),
    )
  return {
    add(pid, setting, cgroupsPath) {
      const directories = setting === 'pod' ? inPod(cgroupsPath) : lasting(setting)
      for (const directory of directories) enter(directory, pid)
    },
    leave(cgroupsPath) {
      for (const directory of inPod(cgroupsPath)) removeIfEmpty(directory)
    },
    [Symbol.dispose]() {
      const all = new Set([undefined, ...settings].filter((setting) => setting !== 'pod').flatMap(lasting))
      for (const directory of all) removeIfEmpty(directory)
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
