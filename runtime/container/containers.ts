import { describeError, invalidArgument } from '#lib/errors.ts'
import { newId } from '#lib/ids.ts'
import type { KeyedMutex } from '#lib/keyed-mutex.ts'
import { signalNumber } from '#lib/signals.ts'
import type { Catalogue } from '../catalogue.ts'
import { Creations } from '../creations.ts'
import type { MonitoredContainer } from '../monitor-port.ts'
import type { Process, SandboxRecord } from '../pod-sandbox/record.ts'
import type { RuntimeContext } from '../runtime-context.ts'
import type { ContainerService } from '../services.ts'
import { bringUpContainer } from './bring-up.ts'
import { Checkpointing, openCheckpoint, useOf } from './checkpointing.ts'
import { notRunning } from './commands.ts'
import { ExitFollower } from './exit-follower.ts'
import { resolveImageVolumes } from './mounts.ts'
import type { ContainerRecord, ContainerSpec, Resources } from './record.ts'
import { transition } from './state.ts'
import { stopSignalOf } from './stop-signal.ts'
import { Stopping } from './stopping.ts'
import { teardownContainer } from './teardown.ts'
import { updateResources } from './update-resources.ts'

const NOBODY_YET = { uid: 0, gid: 0, additionalGids: [] }

/** Containers. Order of locks: sandbox, then container. */
export class Containers implements ContainerService {
  readonly #catalogue: Catalogue<ContainerRecord>
  readonly #readySandbox: (id: string) => SandboxRecord
  readonly #context: RuntimeContext
  readonly #creations = new Creations('container')
  readonly #sandboxLocks: KeyedMutex
  readonly #locks: KeyedMutex
  readonly #making = new Set<string>()
  readonly #stopping = new Stopping()
  readonly #checkpointing: Checkpointing
  readonly #follower: ExitFollower

  constructor(
    catalogue: Catalogue<ContainerRecord>,
    readySandbox: (id: string) => SandboxRecord,
    locks: { readonly sandboxes: KeyedMutex; readonly containers: KeyedMutex },
    context: RuntimeContext,
  ) {
    this.#catalogue = catalogue
    this.#readySandbox = readySandbox
    this.#sandboxLocks = locks.sandboxes
    this.#locks = locks.containers
    this.#context = context
    this.#checkpointing = new Checkpointing(context)
    this.#follower = new ExitFollower(catalogue, locks.containers, context)
  }

  get = (id: string): ContainerRecord => this.#catalogue.get(id)
  list = (): readonly ContainerRecord[] => this.#catalogue.list()

  create(spec: ContainerSpec): Promise<string> {
    const name = `${spec.sandboxId}/${spec.name}/${spec.attempt}`
    const existing = () => {
      const found = this.#of(spec.sandboxId).find(
        (each) => each.spec.name === spec.name && each.spec.attempt === spec.attempt,
      )
      return found === undefined ? undefined : { id: found.id, spec: found.spec, phase: found.state.phase }
    }
    return this.#creations.once(name, spec, existing, 'created', () => this.#create(spec))
  }

  async #create(spec: ContainerSpec): Promise<string> {
    using _lock = await this.#sandboxLocks.acquireShared(spec.sandboxId)
    const sandbox = this.#readySandbox(spec.sandboxId)
    const { ports, options } = this.#context
    const isRestored = ports.checkpoints.isCheckpoint(spec.imageReference)
    const present = isRestored
      ? undefined
      : await ports.rootfs.resolve(spec.imageReference, useOf(spec, sandbox))
    const target =
      spec.security.namespaces.pid === 'target'
        ? this.#initOf(spec.security.namespaces.targetId, sandbox)
        : undefined
    const imageVolumes = await resolveImageVolumes(spec, sandbox, this.#context)
    const record: ContainerRecord = {
      ...{ id: newId(), spec, handler: sandbox.spec.handler, imageId: present?.id ?? '', user: NOBODY_YET },
      ...(imageVolumes.length === 0 ? {} : { imageVolumes }),
      logFile:
        spec.logPath === '' || sandbox.spec.logDirectory === ''
          ? ''
          : `${sandbox.spec.logDirectory}/${spec.logPath}`,
      stopSignal: '',
      createdAtNs: options.nowNs(),
      state: { phase: 'creating' },
    }
    const { id } = record
    this.#making.add(id)
    using _made = { [Symbol.dispose]: () => this.#making.delete(id) }
    await using undo = new AsyncDisposableStack()
    undo.defer(() => this.#discard(record))
    await this.#catalogue.put(record)
    const { image, checkpoint } =
      present === undefined
        ? await openCheckpoint(record, sandbox, this.#context)
        : { image: present, checkpoint: undefined }
    const { id: imageId, digest: imageDigest } = image
    const ofImage = { imageId, ...(imageDigest && { imageDigest }) }
    const made = { ...record, ...ofImage, stopSignal: spec.stopSignal || stopSignalOf(image) }
    const joined = { targetInit: target, checkpoint }
    const { user, init, monitor } = await bringUpContainer(made, sandbox, image, joined, this.#context)
    if (isRestored) await ports.checkpoints.remove(id)
    await this.#catalogue.put({
      ...made,
      user,
      state: transition(record.state, { type: 'created', init, monitor }),
    })
    undo.move()
    void this.#follower.follow(id)
    return id
  }

  async start(id: string): Promise<void> {
    const found = this.#catalogue.get(id)
    using _lock = await this.#locks.acquire(found.id)
    const record = this.#catalogue.get(found.id)
    this.#readySandbox(record.spec.sandboxId)
    const started = transition(record.state, { type: 'started', atNs: this.#context.options.nowNs() })
    const { monitor } = this.#context.ports
    try {
      await monitor.start(record.id, record.handler)
    } catch (error) {
      // A call that failed may have acted, this one or an earlier one that could not be recorded.
      if (!(await monitor.hasStarted(record.id, record.handler).catch(() => false))) {
        await this.#failStart(record, error)
        throw error
      }
    }
    await this.#catalogue.put({ ...record, state: started })
  }

  /** What cannot be started is not left waiting: it is killed first, so that an exited container never runs. */
  async #failStart(record: ContainerRecord, error: unknown): Promise<void> {
    const { ports, options, log } = this.#context
    const exit = { exitCode: 128, reason: 'StartError', message: describeError(error) } as const
    try {
      await ports.monitor.release(record.id, record.handler)
      const state = transition(record.state, { type: 'exited', atNs: options.nowNs(), ...exit })
      await this.#catalogue.put({ ...record, state })
      await ports.rootfs.unmount(record.id)
    } catch (failure) {
      const err = describeError(failure)
      log.warn({ containerId: record.id, err }, 'a container that did not start could not be released')
    }
  }

  async stop(id: string, graceMs: number): Promise<void> {
    const record = this.#catalogue.get(id)
    if (record.state.phase !== 'created' && record.state.phase !== 'running') return
    const container: MonitoredContainer = { id: record.id, handler: record.handler, ...record.state }
    const { monitor } = this.#context.ports
    await this.#checkpointing.interrupt(record.id)
    await this.#stopping.stop(record.id, record.state.phase === 'created' ? 0 : graceMs, {
      exited: this.#follower.follow(record.id),
      ask: async () => void (await monitor.signal(container, signalNumber(record.stopSignal), false)),
      kill: async () => void (await monitor.signal(container, 9, true)),
    })
  }

  async remove(id: string): Promise<void> {
    const { id: fullId } = this.#catalogue.get(id)
    await this.stop(fullId, 0)
    using _lock = await this.#locks.acquire(fullId)
    const record = this.#catalogue.find(fullId)
    if (record !== undefined) await this.#discard(record)
  }

  async #discard(record: ContainerRecord): Promise<void> {
    await teardownContainer(record.id, record.handler, this.#context)
    await this.#catalogue.remove(record.id)
    this.#follower.forget(record.id)
  }

  async killAll(sandboxId: string): Promise<void> {
    await this.#each(sandboxId, async ({ id }) => {
      await this.stop(id, 0)
      await this.#follower.release(id) // Before the pod's cgroup is to go.
    })
  }

  async removeAll(sandboxId: string): Promise<void> {
    await this.#each(sandboxId, ({ id }) => this.remove(id))
  }

  /** All are tried, also past a failure; one whose creation could not be undone is undone now. */
  async #each(sandboxId: string, act: (record: ContainerRecord) => Promise<void>): Promise<void> {
    const records = this.#catalogue.all().filter(({ spec }) => spec.sandboxId === sandboxId)
    const outcomes = await Promise.allSettled(
      records.map((record) => (record.state.phase === 'creating' ? this.#discard(record) : act(record))),
    )
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }

  async update(id: string, update: Resources): Promise<void> {
    const found = this.#catalogue.get(id)
    using _lock = await this.#locks.acquire(found.id)
    const record = this.#catalogue.get(found.id)
    if (record.state.phase !== 'created' && record.state.phase !== 'running') throw notRunning(record)
    const sandbox = this.#readySandbox(record.spec.sandboxId)
    const resources = await updateResources(record, sandbox, update, this.#context)
    await this.#catalogue.put({ ...record, spec: { ...record.spec, resources } })
  }

  async reopenLog(id: string): Promise<void> {
    const record = this.#catalogue.get(id)
    if (record.state.phase !== 'running') throw notRunning(record)
    if (record.logFile !== '') await this.#context.ports.monitor.reopenLog(record.id, record.logFile)
  }

  async checkpoint(id: string, location: string, timeoutMs: number): Promise<void> {
    const found = this.#catalogue.get(id)
    using _lock = await this.#locks.acquire(found.id)
    const record = this.#catalogue.get(found.id)
    if (record.state.phase !== 'running') throw notRunning(record)
    await this.#checkpointing.write(record, location, timeoutMs)
  }

  /** At the end of the daemon: no container is left standing still. */
  interruptCheckpoints = (): Promise<void> => this.#checkpointing.interruptAll()

  /** Brings a record up to date with the host: after a restart, and where a teardown did not get to its end. */
  async recover(record: ContainerRecord, hasSandbox: boolean): Promise<void> {
    if (this.#making.has(record.id)) return
    if (record.state.phase === 'creating' || !hasSandbox) return this.#discard(record)
    await this.#follower.recover(record.id)
  }

  /** Goes on waiting for the exits of those whose exit could not be recorded. */
  followAll(): void {
    for (const { id } of this.#catalogue.all()) void this.#follower.follow(id)
  }

  #of(sandboxId: string): readonly ContainerRecord[] {
    return this.#catalogue.list().filter(({ spec }) => spec.sandboxId === sandboxId)
  }

  #initOf(targetId: string, sandbox: SandboxRecord): Process | undefined {
    const { id, spec, state } = this.#catalogue.get(targetId)
    if (spec.sandboxId !== sandbox.id) {
      throw invalidArgument(
        `target_id ${id} is a container of another pod: name one of pod sandbox ${sandbox.id}`,
      )
    }
    return state.phase === 'running' ? state.init : undefined
  }
}
