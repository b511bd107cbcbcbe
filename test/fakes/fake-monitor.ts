import { posix } from 'node:path'
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
import type { FakeContainer, FakeHost } from './fake-host.ts'

const SIGKILL = 9

/** Containers that run nothing: a signal ends them unless the host ignores it. */
export class FakeMonitor implements ContainerMonitor {
  readonly #host: FakeHost

  constructor(host: FakeHost) {
    this.#host = host
  }

  async create({ id, cgroupsPath, ociSpec }: MonitorRequest) {
    if (this.#host.containers.has(id)) throw new CriError('internal', `container ${id} exists`)
    const [init, monitor] = [this.#host.newProcess(), this.#host.newProcess()]
    this.#host.containers.set(id, {
      phase: 'created',
      ...{ init, monitor, ociSpec, monitorLives: true, cgroup: true, exit: undefined, signals: [], execs: 0 },
      frozen: false,
      updates: [],
      cgroupParent: posix.dirname(cgroupsPath),
    })
    return { init, monitor }
  }

  async start(id: string): Promise<void> {
    const container = this.#must(id)
    if (container.phase !== 'created')
      throw new CriError('internal', `container ${id}: start: it is ${container.phase}`)
    container.phase = 'running'
  }

  async signal({ id }: MonitoredContainer, signal: number): Promise<boolean> {
    const container = this.#host.containers.get(id)
    if (container === undefined || container.phase === 'ended') return false
    container.signals.push(signal)
    if (!this.#host.ignoredSignals.has(signal)) this.#host.exit(id, 128 + signal)
    return true
  }

  async ociProcess(id: string): Promise<object> {
    return this.#must(id).ociSpec.process ?? {}
  }

  async exec({ id, ociProcess, outputLimitBytes }: ExecRequest): Promise<ExecResult> {
    this.#must(id)
    const stdout = Buffer.from(`${JSON.stringify(ociProcess)} at most ${outputLimitBytes}`)
    return { exitCode: 0, stdout, stderr: Buffer.alloc(0), timedOut: false }
  }

  /** Answers what it was asked to run, and then with 7. */
  async execStreamed({ id, ociProcess, streams, signal }: StreamedExecRequest): Promise<number> {
    this.#must(id)
    if (signal.aborted) throw new CriError('cancelled', `container ${id}: the client has gone`)
    streams.stdout?.write(JSON.stringify(ociProcess))
    return 7
  }

  /** Until the container ends, it says what it was asked for. */
  async attach({ id, tty, stdin, stdinOnce, streams, signal }: ContainerAttachRequest): Promise<void> {
    const container = this.#must(id)
    streams.stdout?.write(JSON.stringify({ tty, stdin, stdinOnce }))
    signal.addEventListener('abort', () => this.#host.tellChange())
    await this.#host.until(() => signal.aborted || container.phase === 'ended')
  }

  async update(id: string, _handler: string, resources: object): Promise<void> {
    this.#must(id).updates.push(resources)
  }

  async checkpoint({ id }: CheckpointRequest): Promise<object> {
    const container = this.#must(id)
    container.frozen = true
    return container.ociSpec
  }

  async thaw(id: string): Promise<void> {
    const container = this.#host.containers.get(id)
    if (container !== undefined) container.frozen = false
  }

  async reopenLog(id: string): Promise<void> {
    this.#must(id)
  }

  async ended({ id, init }: MonitoredContainer): Promise<void> {
    await this.#host.until(() => {
      const container = this.#host.containers.get(id)
      return container === undefined || container.init.pid !== init.pid || container.phase === 'ended'
    })
  }

  async observe({ id, init }: MonitoredContainer): Promise<Observation> {
    const container = this.#host.containers.get(id)
    if (container === undefined || container.init.pid !== init.pid) return { seen: 'nothing' }
    if (container.exit !== undefined) return { seen: 'exited', ...container.exit }
    return container.phase === 'ended' ? { seen: 'nothing' } : { seen: 'alive' }
  }

  async hasStarted(id: string): Promise<boolean> {
    return this.#host.containers.get(id)?.phase === 'running'
  }

  async adopt(id: string): Promise<void> {
    const container = this.#host.containers.get(id)
    if (container === undefined) return
    container.execs = 0
    container.frozen = false
  }

  async release(id: string): Promise<void> {
    const container = this.#host.containers.get(id)
    if (container === undefined) return
    this.#host.exit(id, 128 + SIGKILL)
    container.cgroup = false
    container.frozen = false
  }

  async remove(id: string): Promise<void> {
    await this.release(id)
    this.#host.containers.delete(id)
    this.#host.tellChange()
  }

  async leftovers(): Promise<readonly string[]> {
    return [...this.#host.containers.keys()]
  }

  #must(id: string): FakeContainer {
    const container = this.#host.containers.get(id)
    if (container !== undefined) return container
    throw new CriError('internal', `container ${id} does not exist`)
  }
}
