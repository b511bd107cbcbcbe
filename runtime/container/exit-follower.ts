import { describeError } from '#lib/errors.ts'
import type { KeyedMutex } from '#lib/keyed-mutex.ts'
import type { Catalogue } from '../catalogue.ts'
import type { RuntimeContext } from '../runtime-context.ts'
import { reconcile } from './reconcile.ts'
import type { ContainerRecord } from './record.ts'
import { transition } from './state.ts'

/** Waits for the exits of containers, records them, and lets go of what an exited container does not need. */
export class ExitFollower {
  readonly #catalogue: Catalogue<ContainerRecord>
  readonly #locks: KeyedMutex
  readonly #context: RuntimeContext
  readonly #following = new Map<string, Promise<void>>()
  readonly #released = new Set<string>()
  readonly #adopted = new Set<string>()

  constructor(catalogue: Catalogue<ContainerRecord>, locks: KeyedMutex, context: RuntimeContext) {
    this.#catalogue = catalogue
    this.#locks = locks
    this.#context = context
  }

  /** Resolves when the container's exit is recorded; a rejection is logged, so that nobody needs to wait for it. */
  follow(id: string): Promise<void> {
    const underWay = this.#following.get(id)
    if (underWay !== undefined) return underWay
    const followed = this.#untilExited(id).finally(() => this.#following.delete(id))
    followed.catch((error: unknown) => this.#log(id, error, 'the exit of a container could not be recorded'))
    this.#following.set(id, followed)
    return followed
  }

  /** After a restart: what an earlier daemon missed is recorded, what still runs is followed. */
  async recover(id: string): Promise<void> {
    const { monitor } = this.#context.ports
    const record = this.#catalogue.find(id)
    if (record === undefined || record.state.phase === 'creating') return
    if (record.state.phase === 'exited') return this.release(id)
    if (record.state.phase === 'created') await this.#recoverStart(record)
    if (!this.#adopted.has(id)) await monitor.adopt(id, record.handler) // Later its execs are those of this daemon.
    this.#adopted.add(id)
    if (!(await this.#reconcile(id))) void this.follow(id)
  }

  /** A start that an earlier daemon was about is waited for first: it may still begin. */
  async #recoverStart(record: ContainerRecord): Promise<void> {
    const { locks, monitor } = this.#context.ports
    await locks.settle(record.id)
    if (!(await monitor.hasStarted(record.id, record.handler))) return
    const started = transition(record.state, { type: 'started', atNs: this.#context.options.nowNs() })
    await this.#catalogue.put({ ...record, state: started })
  }

  /** After its removal. */
  forget(id: string): void {
    this.#released.delete(id)
    this.#adopted.delete(id)
  }

  async #untilExited(id: string): Promise<void> {
    for (;;) {
      const record = this.#catalogue.find(id)
      if (record === undefined || (record.state.phase !== 'created' && record.state.phase !== 'running'))
        return
      await this.#context.ports.monitor.ended({ id, handler: record.handler, ...record.state })
      if (await this.#reconcile(id)) return
    }
  }

  /** True when the container is exited, or gone. */
  async #reconcile(id: string): Promise<boolean> {
    using _lock = await this.#locks.acquire(id)
    const { monitor } = this.#context.ports
    const record = this.#catalogue.find(id)
    if (record === undefined || (record.state.phase !== 'created' && record.state.phase !== 'running'))
      return true
    const observed = await monitor.observe({ id, handler: record.handler, ...record.state })
    const event = reconcile(record.state, observed, this.#context.options.nowNs())
    if (event === undefined) return false
    await this.#catalogue.put({ ...record, state: transition(record.state, event) })
    this.release(id).catch((error: unknown) =>
      this.#log(id, error, 'an exited container could not be released; its removal tries again'),
    )
    return true
  }

  /** Gives back the cgroup and the mount of an exited container, once; RemoveContainer takes what is left of it. */
  async release(id: string): Promise<void> {
    using _lock = await this.#locks.acquire(id)
    const record = this.#catalogue.find(id)
    if (record?.state.phase !== 'exited' || this.#released.has(id)) return
    const { monitor, rootfs } = this.#context.ports
    await monitor.release(id, record.handler)
    await rootfs.unmount(id)
    this.#released.add(id)
  }

  #log(id: string, error: unknown, message: string): void {
    this.#context.log.warn({ containerId: id, err: describeError(error) }, message)
  }
}
