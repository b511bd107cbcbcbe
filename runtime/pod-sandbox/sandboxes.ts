import { CriError, describeError, isNotFound } from '#lib/errors.ts'
import { newId } from '#lib/ids.ts'
import type { KeyedMutex } from '#lib/keyed-mutex.ts'
import type { Catalogue } from '../catalogue.ts'
import { Creations } from '../creations.ts'
import type { MonitoredContainer } from '../monitor-port.ts'
import type { PodConnection } from '../pod-ports-port.ts'
import type { RuntimeContext } from '../runtime-context.ts'
import { podLabels } from '../selinux/labels.ts'
import { containerContexts } from '../selinux/selinux.ts'
import type { SandboxService } from '../services.ts'
import { bringUpSandbox, needsInit } from './bring-up.ts'
import { checkHostPorts } from './host-ports.ts'
import type { PodMetadata, PodResources, SandboxRecord, SandboxSpec } from './record.ts'
import { teardownSandbox } from './teardown.ts'

/** What a sandbox does to its containers. */
export interface SandboxContainers {
  /** Kills those of the sandbox at once, and waits for their exits. */
  killAll(sandboxId: string): Promise<void>
  removeAll(sandboxId: string): Promise<void>
}

/** Pod sandboxes. Their locks are shared by creations of containers, and taken alone by Stop and Remove. */
export class Sandboxes implements SandboxService {
  readonly #catalogue: Catalogue<SandboxRecord>
  readonly #containers: SandboxContainers
  readonly #context: RuntimeContext
  readonly #creations = new Creations('pod sandbox')
  readonly #locks: KeyedMutex
  /** Those under creation now. */
  readonly #making = new Map<string, SandboxRecord>()

  constructor(
    catalogue: Catalogue<SandboxRecord>,
    containers: SandboxContainers,
    locks: KeyedMutex,
    context: RuntimeContext,
  ) {
    this.#catalogue = catalogue
    this.#containers = containers
    this.#locks = locks
    this.#context = context
  }

  get = (id: string): SandboxRecord => this.#catalogue.get(id)
  list = (): readonly SandboxRecord[] => this.#catalogue.list()

  run(spec: SandboxSpec): Promise<string> {
    const name = nameOf(spec.metadata)
    const existing = () => {
      const found = this.#catalogue.list().find((each) => nameOf(each.spec.metadata) === name)
      return found === undefined ? undefined : { id: found.id, spec: found.spec, phase: found.state.phase }
    }
    return this.#creations.once(name, spec, existing, 'ready', () => this.#create(spec))
  }

  async #create(spec: SandboxSpec): Promise<string> {
    const contexts = await containerContexts(this.#context)
    const others = [...this.#catalogue.all(), ...this.#making.values()]
    checkHostPorts(spec.portMappings, others)
    const id = newId()
    const record: SandboxRecord = {
      id,
      spec,
      hasInit: needsInit(spec, this.#context),
      ...(contexts === undefined
        ? {}
        : {
            selinux: podLabels(
              spec.selinux,
              contexts,
              others.flatMap(({ selinux }) => selinux ?? []),
            ),
          }),
      createdAtNs: this.#context.options.nowNs(),
      state: { phase: 'creating' },
    }
    this.#making.set(id, record)
    using _made = { [Symbol.dispose]: () => this.#making.delete(id) }
    await using undo = new AsyncDisposableStack()
    undo.defer(() => this.#discard(record))
    await this.#catalogue.put(record)
    const state = await bringUpSandbox(record, this.#context)
    await this.#catalogue.put({ ...record, state })
    undo.move() // Up: from here on only Stop and Remove tear it down.
    this.#follow(id)
    return id
  }

  async stop(id: string): Promise<void> {
    const found = this.#catalogue.get(id)
    using _lock = await this.#lockForTeardown(found.id)
    await this.#stop(found.id)
  }

  async remove(id: string): Promise<void> {
    const found = this.#catalogue.get(id)
    using _lock = await this.#lockForTeardown(found.id)
    await this.#stop(found.id)
    await this.#containers.removeAll(found.id)
    await this.#catalogue.remove(found.id)
  }

  /** Creations of containers hold the lock; labelling volumes, which could take one hours, is given up. */
  async #lockForTeardown(id: string): Promise<Disposable> {
    const turn = this.#locks.acquire(id)
    using _given = this.#context.ports.selinux.giveUp(id)
    return await turn
  }

  async #stop(id: string): Promise<void> {
    const record = this.#catalogue.find(id)
    if (record === undefined || record.state.phase === 'stopped') return
    const ips = record.state.phase === 'creating' ? [] : record.state.ips
    await this.#catalogue.put({ ...record, state: { phase: 'stopping', ips } })
    await this.#containers.killAll(id)
    await teardownSandbox(record, this.#context)
    await this.#catalogue.put({ ...record, state: { phase: 'stopped', ips } })
  }

  async updateResources(id: string, { overhead, containers }: PodResources): Promise<void> {
    const found = this.#catalogue.get(id)
    using _lock = await this.#locks.acquire(found.id)
    const record = this.ready(found.id)
    const now = record.updatedResources ?? record.spec.resources
    await this.#catalogue.put({
      ...record,
      updatedResources: {
        overhead: overhead ?? now?.overhead,
        containers: containers ?? now?.containers,
      },
    })
  }

  /** Removes a sandbox that was never up. */
  async #discard(record: SandboxRecord): Promise<void> {
    await teardownSandbox(record, this.#context)
    await this.#catalogue.remove(record.id)
  }

  /** Brings a record up to date with the host: after a restart, and where a teardown did not get to its end. */
  async recover(record: SandboxRecord): Promise<void> {
    const { phase } = record.state
    if (this.#making.has(record.id)) return
    if (phase === 'creating') return this.#discard(record)
    if (phase === 'stopped') return
    if (phase === 'ready' && (await this.#isIntact(record))) return this.#follow(record.id)
    await this.stop(record.id)
  }

  async #isIntact({ id, spec, state }: SandboxRecord): Promise<boolean> {
    const { network, ipc, user } = await this.#context.ports.namespaces.find(id)
    if (spec.namespaces.user !== undefined && user === undefined) return false
    if (spec.namespaces.network === 'pod' && network === undefined) return false
    if (spec.namespaces.ipc === 'pod' && ipc === undefined) return false
    const init = initOf(id, spec, state)
    return init === undefined || (await this.#context.ports.monitor.observe(init)).seen === 'alive'
  }

  /** A sandbox whose init ends has lost its PID namespace: it is stopped. */
  #follow(id: string): void {
    const record = this.#catalogue.find(id)
    const init = record === undefined ? undefined : initOf(id, record.spec, record.state)
    if (init === undefined) return
    const stopWithInit = async (): Promise<void> => {
      await this.#context.ports.monitor.ended(init)
      if (this.#catalogue.find(id)?.state.phase === 'ready') await this.stop(id)
    }
    stopWithInit().catch((error: unknown) => {
      if (isNotFound(error)) return
      this.#context.log.warn({ sandboxId: id, err: describeError(error) }, 'a pod sandbox lost its init')
    })
  }

  async connect(id: string, port: number): Promise<PodConnection> {
    const { id: fullId, spec } = this.ready(id)
    const { namespaces, podPorts } = this.#context.ports
    if (spec.namespaces.network === 'node') return podPorts.connect(undefined, port)
    const { network } = await namespaces.find(fullId)
    if (network !== undefined) return podPorts.connect(network, port)
    const message = `pod sandbox ${fullId} has lost its network namespace: it has to be stopped and run anew`
    throw new CriError('failed-precondition', message)
  }

  /** The sandbox that a container is to be created in; throws failed-precondition when it is not up. */
  ready(id: string): SandboxRecord {
    const record = this.#catalogue.get(id)
    if (record.state.phase === 'ready') return record
    throw new CriError('failed-precondition', `pod sandbox ${record.id} is ${record.state.phase}, not ready`)
  }
}

/** No two pods have the same, whatever their parts hold. */
const nameOf = ({ namespace, name, uid, attempt }: PodMetadata): string =>
  [namespace, name, uid, `${attempt}`].map((part) => part.replace(/[%/]/g, encodeURIComponent)).join('/')

function initOf(
  id: string,
  spec: SandboxSpec,
  state: SandboxRecord['state'],
): MonitoredContainer | undefined {
  if (state.phase !== 'ready' || state.init === undefined) return undefined
  return { id, handler: spec.handler, ...state.init }
}
