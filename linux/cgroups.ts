import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CriError, errnoOf } from '#lib/errors.ts'
import { killQuietly, readOrUndefined } from './proc.ts'

/** How long killed processes may take to die. */
const REMOVE_TIMEOUT_MS = 30_000

/** The cgroup hierarchies of this host: one on version 2, one for each controller on version 1. */
export interface CgroupHierarchies {
  readonly version: 1 | 2
  /** Mount points, each with what it is mounted for (`memory`, `name=systemd`, `unified`). */
  readonly mounts: readonly { readonly name: string; readonly path: string }[]
}

/** Reads /proc/self/mountinfo, proc_pid_mountinfo(5). A hybrid host has version 1, and runc uses its unified one too. */
export function readHierarchies(mountinfo = readFileSync('/proc/self/mountinfo', 'utf8')): CgroupHierarchies {
  const found = mountinfo.split('\n').flatMap((line): { version: 1 | 2; name: string; path: string }[] => {
    const [left = '', right = ''] = line.split(' - ')
    const [type, , options = ''] = right.split(' ')
    const path = left.split(' ')[4] ?? ''
    if (!path.startsWith('/sys/fs/cgroup')) return []
    if (type === 'cgroup2') return [{ version: 2, name: 'unified', path }]
    if (type !== 'cgroup') return []
    return [
      {
        version: 1,
        name: options
          .split(',')
          .filter((option) => option !== 'rw')
          .join(','),
        path,
      },
    ]
  })
  const version = found.some((each) => each.version === 1) ? 1 : 2
  return { version, mounts: found.map(({ name, path }) => ({ name, path })) }
}

/**
 * A container's cgroup by its cgroupsPath as config.json has it: a path, or `slice:prefix:name` for the systemd driver;
 * and a pod's by its cgroup parent: a path or a slice.
 * Slices nest by their dashes: a-b.slice lies in a.slice (systemd.slice(5)).
 */
export function cgroupDirectory(cgroupsPath: string): string {
  const [slice, prefix, name] = cgroupsPath.split(':')
  if (slice === undefined || prefix === undefined || name === undefined) {
    return cgroupsPath.endsWith('.slice') ? `/${nestedSlices(basename(cgroupsPath)).join('/')}` : cgroupsPath
  }
  return `/${[...nestedSlices(slice), `${prefix}-${name}.scope`].join('/')}`
}

function nestedSlices(slice: string): readonly string[] {
  const parts = slice === '-.slice' ? [] : slice.replace(/\.slice$/, '').split('-')
  return parts.map((_, index) => `${parts.slice(0, index + 1).join('-')}.slice`)
}

export interface Cgroup {
  /** How many of its processes the kernel's OOM killer has killed; undefined when it is gone or has no memory controller. */
  oomKills(): number | undefined
  /** All processes in it and below. */
  processes(): readonly number[]
  /** Kills them all, the ones they fork meanwhile too. */
  kill(): void
  /**
   * Kills what is in it and removes it with what is below; resolves also when it was never there.
   * Throws deadline-exceeded when a process of it does not die: one that hangs in the kernel.
   */
  remove(timeoutMs?: number): Promise<void>
  /** A cgroup below it, made in every hierarchy (version 1: cpusets are those of its parent). */
  child(name: string): Cgroup
  create(): void
}

export function cgroupAt(hierarchies: CgroupHierarchies, directory: string): Cgroup {
  const directories = (): readonly string[] =>
    hierarchies.mounts.map(({ path }) => join(path, directory)).filter((path) => existsSync(path))
  const inController = (name: string, file: string): string | undefined => {
    const mount = hierarchies.mounts.find((each) => each.name.split(',').includes(name))
    return mount === undefined ? undefined : readOrUndefined(join(mount.path, directory, file))
  }
  const self: Cgroup = {
    oomKills() {
      const text =
        hierarchies.version === 2
          ? inController('unified', 'memory.events')
          : inController('memory', 'memory.oom_control')
      const count = text?.match(/^oom_kill (\d+)$/m)?.[1]
      return count === undefined ? undefined : Number(count)
    },

    // On version 1 every hierarchy has the same ones, but for those that were moved in some of them.
    processes: () => [...new Set(directories().flatMap(processesBelow))],

    kill() {
      const [first] = directories()
      if (first === undefined) return
      if (hierarchies.version === 2 && killAtOnce(first)) return
      // Again while it finds new ones: they may fork between the read and the kill.
      const killed = new Set<number>()
      for (let fresh = self.processes(); fresh.length > 0; ) {
        for (const pid of fresh) {
          killed.add(pid)
          killQuietly(pid)
        }
        fresh = self.processes().filter((pid) => !killed.has(pid))
      }
    },

    async remove(timeoutMs = REMOVE_TIMEOUT_MS) {
      const deadline = performance.now() + timeoutMs
      for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, 50)) {
        const left = directories().filter((path) => !removeTree(path))
        if (left.length === 0) return
        if (performance.now() > deadline) throw stillBusy(left, left.flatMap(processesBelow), timeoutMs)
        self.kill()
        await sleep(waitMs)
      }
    },

    child: (name) => cgroupAt(hierarchies, join(directory, name)),

    create() {
      for (const { path } of hierarchies.mounts) {
        if (existsSync(join(path, directory, '..'))) makeDirectory(join(path, directory))
      }
    },
  }
  return self
}

const stillBusy = (paths: readonly string[], pids: readonly number[], timeoutMs: number): CriError =>
  new CriError(
    'deadline-exceeded',
    `cgroup ${paths.join(', ')}: killed, but in use after ${timeoutMs / 1000} s by ${[...new Set(pids)].join(', ')}: ` +
      'look for state D in /proc/PID/stat and at /proc/PID/wchan',
  )

function makeDirectory(path: string): void {
  mkdirSync(path, { recursive: true })
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    const own = readOrUndefined(join(path, file))
    if (own?.trim() === '') writeFileSync(join(path, file), readFileSync(join(path, '..', file)))
  }
}

/** By cgroup.kill; false where the kernel (before 5.14) lacks it. */
function killAtOnce(path: string): boolean {
  try {
    writeFileSync(join(path, 'cgroup.kill'), '1', { flag: 'r+' })
    return true
  } catch (error) {
    // systemd removes a scope as soon as it is empty, also between the look and the write.
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENODEV') return !existsSync(path)
    throw error
  }
}

function processesBelow(path: string): readonly number[] {
  const own = readOrUndefined(join(path, 'cgroup.procs')) ?? ''
  const below = childrenOf(path).flatMap((name) => processesBelow(join(path, name)))
  return [...own.split('\n').filter(Boolean).map(Number), ...below]
}

/** False while it is busy. */
function removeTree(path: string): boolean {
  const below = childrenOf(path).map((name) => removeTree(join(path, name)))
  if (below.includes(false)) return false
  try {
    rmdirSync(path)
    return true
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return true
    if (errnoOf(error) === 'EBUSY') return false
    throw error
  }
}

function childrenOf(path: string): readonly string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
  } catch {
    return []
  }
}
