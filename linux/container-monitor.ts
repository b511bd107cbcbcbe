import { existsSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { CriError } from '#lib/errors.ts'
import type {
  CheckpointRequest,
  ContainerAttachRequest,
  ContainerMonitor,
  ExecRequest,
  ExecResult,
  MonitoredContainer,
  MonitorRequest,
  Observation,
  StreamedExecRequest,
} from '#runtime/monitor-port.ts'
import type { Process } from '#runtime/pod-sandbox/record.ts'
import type { AttachSockets } from './attach-sockets.ts'
import { bundleProcess } from './bundle-process.ts'
import { type Cgroup, type CgroupHierarchies, cgroupAt, cgroupDirectory } from './cgroups.ts'
import {
  freezeAndDump,
  startRestored,
  tellsOfRestore,
  thaw,
  thawAdopted,
  waitsRestored,
} from './checkpoint-restore.ts'
import { bundleOf, type MonitorPaths, requestLogReopen, startConmon } from './conmon.ts'
import { type ExecEnvironment, killExecs } from './exec-process.ts'
import { killAbandonedExecs } from './exec-slots.ts'
import { execStreamed } from './exec-streamed.ts'
import { execSync } from './exec-sync.ts'
import { ExitFiles } from './exit-files.ts'
import { prepareLogFile, reopenLogFile } from './log-file.ts'
import type { MonitorCgroups } from './monitor-cgroup.ts'
import { killMonitors, monitorsById } from './monitor-processes.ts'
import { namesIn } from './names-in.ts'
import type { HeldLocks } from './object-lock.ts'
import type { OciRuntime } from './oci-runtime.ts'
import { deleteContainer, runtimeOf } from './oci-runtimes.ts'
import { createOomKills, type OomKills } from './oom-kills.ts'
import { isAlive, processOf } from './proc.ts'
import type { ProcessWatcher } from './process-watcher.ts'
import { renameAway } from './rename-away.ts'
import { signalContainer } from './signal-container.ts'
import { writeBundle } from './write-bundle.ts'

export interface MonitorOptions {
  readonly conmonPath: string
  readonly paths: MonitorPaths & { readonly containers: string }
  readonly runtimes: ReadonlyMap<string, OciRuntime>
  readonly hierarchies: CgroupHierarchies
  readonly locks: HeldLocks
  readonly watcher: ProcessWatcher
  readonly attachments: AttachSockets
  readonly monitorCgroups: MonitorCgroups
}

/**
 * The port on conmon and an OCI runtime. Each container has a directory `home`: the bundle, the pid file,
 * the path of its cgroup (`cgroup`), conmon's OOM mark (`oom`) and a file for each exec under way (`execs/`).
 */
export class ConmonMonitor implements ContainerMonitor, Disposable {
  readonly #options: MonitorOptions
  readonly #exits: ExitFiles
  readonly #oomKills: OomKills
  /** By container id; those that earlier daemons left too. */
  readonly #monitors: Map<string, Process[]>
  /** What an OCI runtime has deleted already: no need to ask it again. */
  readonly #released = new Set<string>()

  constructor(options: MonitorOptions) {
    this.#options = options
    this.#exits = new ExitFiles(options.paths.exits)
    this.#oomKills = createOomKills(options.hierarchies)
    this.#monitors = monitorsById(options.conmonPath, options.paths.exits)
  }

  [Symbol.dispose](): void {
    this.#exits[Symbol.dispose]()
  }

  async create(request: MonitorRequest): Promise<{ readonly init: Process; readonly monitor: Process }> {
    const { conmonPath, paths, monitorCgroups, watcher } = this.#options
    const { id, logFile, logDirectory = dirname(logFile) } = request
    if (logFile !== '') await prepareLogFile(logDirectory, logFile)
    writeBundle(paths, request)
    this.#oomKills.begin(paths.home(id), request.cgroupsPath)
    let monitor: Process | undefined
    const { options } = this.#runtime(request.handler)
    const initPid = await startConmon(conmonPath, options, paths, request, (pid) => {
      monitor = processOf(pid)
      if (monitor !== undefined) this.#monitors.set(id, [monitor])
      monitorCgroups.add(pid, options.monitorCgroup, request.cgroupsPath)
      void watcher.ended(pid) // Reaps it.
    }).catch(tellsOfRestore(paths.home(id), request))
    const init = processOf(initPid)
    if (init !== undefined && monitor !== undefined) return { init, monitor }
    throw new CriError(
      'internal',
      `container ${id}: its init (pid ${initPid}) ended before it could be started`,
    )
  }

  async start(id: string, handler: string): Promise<void> {
    const home = this.#options.paths.home(id)
    if (waitsRestored(home)) startRestored(home, this.#cgroup(id))
    else await this.#runtime(handler).start(id, join(home, 'pid'))
  }

  checkpoint = async (request: CheckpointRequest): Promise<object> =>
    freezeAndDump(this.#options.paths.home(request.id), this.#runtime(request.handler), request)

  thaw = (id: string, handler: string): Promise<void> =>
    thaw(this.#options.paths.home(id), () => this.#runtime(handler), id)

  update = async (id: string, handler: string, resources: object): Promise<void> =>
    this.#runtime(handler).update(id, resources)

  signal(container: MonitoredContainer, signal: number, all: boolean): Promise<boolean> {
    const runtime = this.#options.runtimes.get(container.handler)
    return signalContainer({ container, runtime, cgroup: this.#cgroup(container.id) }, signal, all)
  }

  ociProcess(id: string): Promise<object> {
    return bundleProcess(bundleOf(this.#options.paths, id))
  }

  async exec(request: ExecRequest): Promise<ExecResult> {
    return execSync(request, this.#execEnvironment(request))
  }

  async execStreamed(request: StreamedExecRequest): Promise<number> {
    return execStreamed(request, this.#execEnvironment(request))
  }

  attach(request: ContainerAttachRequest): Promise<void> {
    return this.#options.attachments.attach(request, bundleOf(this.#options.paths, request.id))
  }

  async reopenLog(id: string, logFile: string): Promise<void> {
    const isWatched = (): boolean => this.#monitors.get(id)?.some(isAlive) === true
    await reopenLogFile({ id, logFile, isWatched, ask: () => requestLogReopen(this.#options.paths, id) })
  }

  async ended({ id, init, monitor }: MonitoredContainer): Promise<void> {
    const { watcher } = this.#options
    using exit = this.#exits.next(id)
    if (isAlive(monitor)) await Promise.race([exit.seen, watcher.ended(monitor.pid)])
    // A monitor that was killed leaves its container running, and its exit code is lost.
    if (this.#exits.read(id) === undefined && isAlive(init)) await watcher.ended(init.pid)
  }

  async observe({ id, init, monitor }: MonitoredContainer): Promise<Observation> {
    const exit = this.#exits.read(id)
    if (exit !== undefined) {
      const oomKilled = this.#oomKills.ended(
        this.#options.paths.home(id),
        this.#cgroupsPath(id),
        exit.exitCode,
      )
      return { seen: 'exited', ...exit, oomKilled }
    }
    if (isAlive(init)) return { seen: 'alive' }
    if (isAlive(monitor)) return { seen: 'exiting' }
    // It may have written the exit file between the first look and its end.
    return this.#exits.read(id) === undefined
      ? { seen: 'nothing' }
      : this.observe({ id, handler: '', init, monitor })
  }

  async hasStarted(id: string, handler: string): Promise<boolean> {
    if (waitsRestored(this.#options.paths.home(id))) return false
    return (await this.#runtime(handler).status(id)) === 'running'
  }

  async adopt(id: string, handler: string): Promise<void> {
    await thawAdopted(this.#options.paths.home(id), () => this.#runtime(handler), id, this.#options.locks)
    const cgroup = this.#cgroup(id)
    if (cgroup !== undefined) killAbandonedExecs(cgroup, this.#execMarks(id))
  }

  async release(id: string, handler: string): Promise<void> {
    await this.thaw(id, handler).catch(() => {}) // What is frozen does not die.
    const cgroup = this.#cgroup(id)
    cgroup?.kill()
    killExecs(id)
    const runtime = this.#runtime(handler)
    // Every start releases all that has exited: a runtime that knows nothing of it is not asked.
    if (runtime.has(id)) await runtime.remove(id)
    await cgroup?.remove()
    await this.#leaveMonitorCgroup(id, runtime.options.monitorCgroup)
    this.#released.add(id)
  }

  async remove(id: string, handler: string): Promise<void> {
    const { paths, watcher, locks } = this.#options
    // A create that is still under way must find no bundle, a killed one nothing to go on with.
    renameAway(bundleOf(paths, id))
    await killMonitors(this.#monitors.get(id) ?? [], watcher)
    await this.thaw(id, handler).catch(() => {})
    this.#cgroup(id)?.kill()
    killExecs(id)
    await locks.settle(id)
    if (!this.#released.has(id)) await deleteContainer(this.#options.runtimes, id, handler)
    await killMonitors(this.#monitors.get(id) ?? [], watcher) // A create under way may have begun one meanwhile.
    await this.#cgroup(id)?.remove()
    await this.#leaveMonitorCgroup(id, 'pod') // Whatever its handler's setting was.
    this.#exits.remove(id)
    await rm(paths.home(id), { recursive: true, force: true })
    locks.remove(id)
    this.#monitors.delete(id)
    this.#released.delete(id)
  }

  async leftovers(): Promise<readonly string[]> {
    return [...new Set([...this.#monitors.keys(), ...namesIn(this.#options.paths.containers)])]
  }

  /** A pod's cgroup goes with the pod: the monitors' own is not to be left in it. */
  async #leaveMonitorCgroup(id: string, setting: string | undefined): Promise<void> {
    const cgroupsPath = this.#cgroupsPath(id)
    if (setting !== 'pod' || cgroupsPath === undefined) return
    const monitors = this.#monitors.get(id) ?? []
    await Promise.all(monitors.filter(isAlive).map(({ pid }) => this.#options.watcher.ended(pid)))
    this.#options.monitorCgroups.leave(cgroupsPath)
  }

  #runtime = (handler: string): OciRuntime => runtimeOf(this.#options.runtimes, handler)

  #execEnvironment({ id, handler }: { readonly id: string; readonly handler: string }): ExecEnvironment {
    const cgroup = this.#cgroup(id)
    if (cgroup === undefined) throw new CriError('failed-precondition', `container ${id} is not running`)
    const { locks, watcher } = this.#options
    return { runtime: this.#runtime(handler), locks, watcher, cgroup, marks: this.#execMarks(id) }
  }

  #cgroup(id: string): Cgroup | undefined {
    const cgroupsPath = this.#cgroupsPath(id)
    if (cgroupsPath === undefined) return undefined
    return cgroupAt(this.#options.hierarchies, cgroupDirectory(cgroupsPath))
  }

  #cgroupsPath(id: string): string | undefined {
    const file = join(this.#options.paths.home(id), 'cgroup')
    return existsSync(file) ? readFileSync(file, 'utf8') : undefined
  }

  #execMarks = (id: string): string => join(this.#options.paths.home(id), 'execs')
}
