import {
  closeSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CriError, errnoOf } from '#lib/errors.ts'
import type { Process } from '#runtime/pod-sandbox/record.ts'
import type { ContainerMonitor } from '#runtime/ports.ts'
import { type CgroupHierarchies, cgroupAt, cgroupDirectory } from './cgroups.ts'
import { bundleOf, type MonitorPaths, requestLogReopen, startConmon } from './conmon.ts'
import { execSync, killAbandonedExecs } from './exec-sync.ts'
import { openPidfd, signalPidfd } from './libc.ts'
import { killMonitors, monitorsById } from './monitor-processes.ts'
import type { ObjectLocks } from './object-lock.ts'
import type { OciRuntime } from './oci-runtime.ts'
import { isAlive, processOf } from './proc.ts'
import type { ProcessWatcher } from './process-watcher.ts'

export interface MonitorOptions {
  readonly conmonPath: string
  readonly paths: MonitorPaths & { readonly containers: string }
  readonly runtimes: ReadonlyMap<string, OciRuntime>
  readonly hierarchies: CgroupHierarchies
  readonly locks: ObjectLocks
  readonly watcher: ProcessWatcher
  readonly monitorCgroup: { readonly add: (pid: number) => void }
}

/** How long a program that an earlier daemon left behind may go on before it is killed. */
const SETTLE_MS = 5_000
const REOPEN_TIMEOUT_MS = 5_000

/** The port on conmon and an OCI runtime. Each container has `home`/ID: bundle, pid file, marks of its execs. */
export function createContainerMonitor(options: MonitorOptions): ContainerMonitor {
  const { paths, locks, watcher, hierarchies } = options
  mkdirSync(paths.exits, { recursive: true, mode: 0o700 })
  const monitors = monitorsById(options.conmonPath, paths.exits)
  const exits = watchExits(paths.exits)

  const runtimeOf = (handler: string): OciRuntime => {
    const runtime = options.runtimes.get(handler)
    if (runtime !== undefined) return runtime
    throw new CriError(
      'failed-precondition',
      `runtime handler ${handler} is no longer configured: add it to runtime.handlers`,
    )
  }
  const cgroupOf = (id: string) => {
    const path = readOrUndefined(join(paths.home(id), 'cgroup'))
    return path === undefined ? undefined : cgroupAt(hierarchies, cgroupDirectory(path))
  }
  const marksOf = (id: string): string => join(paths.home(id), 'execs')

  return {
    async create(request) {
      const { id } = request
      mkdirSync(bundleOf(paths, id), { recursive: true, mode: 0o700 })
      writeFileSync(join(paths.home(id), 'cgroup'), request.cgroupsPath)
      writeFileSync(join(bundleOf(paths, id), 'config.json'), JSON.stringify(request.ociSpec))
      let monitorPid = 0
      const initPid = await startConmon(
        options.conmonPath,
        runtimeOf(request.handler).options,
        paths,
        request,
        (pid) => {
          monitorPid = pid
          const monitor = processOf(pid)
          if (monitor !== undefined) monitors.set(id, [monitor])
          options.monitorCgroup.add(pid)
          void watcher.ended(pid) // Reaps it.
        },
      )
      return { init: mustLive(initPid, id, 'init'), monitor: mustLive(monitorPid, id, 'monitor') }
    },

    start: (id, handler) => runtimeOf(handler).start(id),
    update: (id, handler, resources) => runtimeOf(handler).update(id, resources),

    async signal({ id, init }, signal, all) {
      if (all && signal === 9) {
        cgroupOf(id)?.kill()
        return true
      }
      return signalProcess(init, signal)
    },

    async ociProcess(id) {
      const config = JSON.parse(await readFile(join(bundleOf(paths, id), 'config.json'), 'utf8')) as {
        process: object
      }
      return config.process
    },

    exec(request) {
      const cgroup = cgroupOf(request.id)
      if (cgroup === undefined)
        throw new CriError('failed-precondition', `container ${request.id} is not running`)
      const runtime = runtimeOf(request.handler)
      return execSync(request, { runtime, locks, watcher, cgroup, marks: marksOf(request.id) })
    },

    async reopenLog(id, logFile) {
      const before = inodeOf(logFile)
      requestLogReopen(paths, id)
      const deadline = performance.now() + REOPEN_TIMEOUT_MS
      // Renamed away: the new file shows that it is done. Still there: nothing changes its name.
      while (before === undefined && inodeOf(logFile) === undefined) {
        if (performance.now() > deadline) {
          throw new CriError('deadline-exceeded', `container ${id}: its monitor did not reopen ${logFile}`)
        }
        await sleep(2)
      }
    },

    async ended({ id, init, monitor }) {
      if (readExit(paths.exits, id) !== undefined) return
      using exit = exits.next(id)
      if (isAlive(monitor)) await Promise.race([exit.seen, watcher.ended(monitor.pid)])
      // A monitor that was killed leaves its container running, and its exit code is lost.
      if (readExit(paths.exits, id) === undefined && isAlive(init)) await watcher.ended(init.pid)
    },

    async observe({ id, init, monitor }) {
      const exit = readExit(paths.exits, id)
      if (exit !== undefined) {
        const oomKilled = (cgroupOf(id)?.oomKills() ?? 0) > 0 || existsSync(join(paths.home(id), 'oom'))
        return { seen: 'exited', ...exit, oomKilled: oomKilled && exit.exitCode !== 0 }
      }
      if (isAlive(init)) return { seen: 'alive' }
      return { seen: isAlive(monitor) ? 'exiting' : 'nothing' }
    },

    async hasStarted(id, handler) {
      return (await runtimeOf(handler).status(id)) === 'running'
    },

    async adopt(id) {
      killAbandonedExecsOf(id)
    },

    async release(id, handler) {
      const cgroup = cgroupOf(id)
      cgroup?.kill()
      await runtimeOf(handler).remove(id)
      await cgroup?.remove()
    },

    async remove(id, handler) {
      // A create that is still under way must find no bundle, a killed one nothing to go on with.
      renameAway(bundleOf(paths, id))
      await killMonitors(monitors.get(id) ?? [], watcher)
      killAbandonedExecsOf(id)
      cgroupOf(id)?.kill()
      await locks.settle(id, SETTLE_MS)
      if (options.runtimes.has(handler)) await runtimeOf(handler).remove(id)
      await cgroupOf(id)?.remove()
      monitors.delete(id)
      rmSync(join(paths.exits, id), { force: true })
      await rm(paths.home(id), { recursive: true, force: true })
      locks.remove(id)
    },

    async leftovers() {
      return [...new Set([...monitors.keys(), ...directoriesIn(paths.containers)])]
    },
  }

  function killAbandonedExecsOf(id: string): void {
    const cgroup = cgroupOf(id)
    if (cgroup !== undefined) killAbandonedExecs(cgroup, marksOf(id))
  }
}

function mustLive(pid: number, id: string, what: string): Process {
  const found = processOf(pid)
  if (found !== undefined) return found
  throw new CriError('internal', `container ${id}: its ${what} (pid ${pid}) ended before it could be started`)
}

function signalProcess(target: Process, signal: number): boolean {
  const pidfd = openPidfd(target.pid)
  if (pidfd === undefined) return false
  try {
    return isAlive(target) && signalPidfd(pidfd, signal)
  } finally {
    closeSync(pidfd)
  }
}

/** conmon's exit file: the exit code in decimal; written at the exit, under another name first. */
function readExit(
  exits: string,
  id: string,
): { readonly atNs: string; readonly exitCode: number } | undefined {
  const text = readOrUndefined(join(exits, id))
  if (text === undefined || text === '') return undefined
  return { atNs: statSync(join(exits, id), { bigint: true }).mtimeNs.toString(), exitCode: Number(text) }
}

/** Tells who waits for a container that its exit file has come. */
function watchExits(directory: string) {
  const waiting = new Map<string, Set<() => void>>()
  const watcher = watch(directory, { persistent: false }, (_, name) => {
    if (name !== null) for (const tell of waiting.get(name) ?? []) tell()
  })
  watcher.on('error', () => undefined) // The directory went: at a shutdown in tests.
  return {
    next(id: string): Disposable & { readonly seen: Promise<void> } {
      const { promise, resolve } = Promise.withResolvers<void>()
      const tellers = waiting.get(id) ?? new Set()
      waiting.set(id, tellers.add(resolve))
      if (existsSync(join(directory, id))) resolve()
      return {
        seen: promise,
        [Symbol.dispose]: () => {
          tellers.delete(resolve)
          if (tellers.size === 0) waiting.delete(id)
        },
      }
    },
  }
}

function renameAway(path: string): void {
  try {
    renameSync(path, `${path}.gone`)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTEMPTY' && errnoOf(error) !== 'EEXIST')
      throw error
  }
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino
}

function readOrUndefined(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function directoriesIn(path: string): readonly string[] {
  return existsSync(path) ? readdirSync(path) : []
}
