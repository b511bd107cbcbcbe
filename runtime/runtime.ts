import { describeError } from '#lib/errors.ts'
import { KeyedMutex } from '#lib/keyed-mutex.ts'
import { Catalogue } from './catalogue.ts'
import { containerCommands } from './container/commands.ts'
import { Containers } from './container/containers.ts'
import type { ContainerRecord } from './container/record.ts'
import { leftoverIds, teardownLeftover } from './leftovers.ts'
import type { SandboxRecord } from './pod-sandbox/record.ts'
import { Sandboxes } from './pod-sandbox/sandboxes.ts'
import type { RuntimeContext } from './runtime-context.ts'
import type { CommandService, ContainerService, SandboxService, StatsService } from './services.ts'
import { createStats } from './stats/stats.ts'

export interface Runtime {
  readonly sandboxes: SandboxService
  readonly containers: ContainerService
  readonly commands: CommandService
  readonly stats: StatsService
  /** Before the first call: brings the records up to date with the host and removes what no record owns. */
  recover(): Promise<void>
  /** Goes on with teardowns that did not get to their end; to be called from time to time. */
  retryUnfinished(): Promise<void>
  /** At the end of the daemon: gives up what containers stand still for. */
  interruptCheckpoints(): Promise<void>
}

export function createRuntime(context: RuntimeContext): Runtime {
  const { ports, log } = context
  const locks = { sandboxes: new KeyedMutex(), containers: new KeyedMutex() }
  const sandboxRecords = new Catalogue<SandboxRecord>('pod sandbox', ports.sandboxRecords)
  const containerRecords = new Catalogue<ContainerRecord>('container', ports.containerRecords)
  const containers = new Containers(containerRecords, (id) => sandboxes.ready(id), locks, context)
  const sandboxes = new Sandboxes(sandboxRecords, containers, locks.sandboxes, context)

  /** Ids of what could not be brought up to date. */
  const unfinished = new Set<string>()

  /** One object that cannot be brought up to date keeps no other from it. */
  async function attempt(what: `${string}Id`, id: string, step: () => Promise<void>): Promise<void> {
    try {
      await step()
      unfinished.delete(id)
    } catch (error) {
      unfinished.add(id)
      const err = describeError(error)
      log.warn({ [what]: id, err }, 'could not be brought up to date; it is tried again later')
    }
  }

  async function recoverEach(wanted: (record: ContainerRecord | SandboxRecord) => boolean): Promise<void> {
    for (const record of inTurn(containerRecords, wanted)) {
      const hasSandbox = sandboxRecords.find(record.spec.sandboxId) !== undefined
      await attempt('containerId', record.id, () => containers.recover(record, hasSandbox))
    }
    for (const record of inTurn(sandboxRecords, wanted)) {
      await attempt('sandboxId', record.id, () => sandboxes.recover(record))
    }
  }

  /** A creation writes its record first, so what has none when it is looked at has none any more. */
  async function removeLeftovers(wanted: (id: string) => boolean): Promise<void> {
    const known = (id: string): boolean =>
      containerRecords.find(id) !== undefined || sandboxRecords.find(id) !== undefined
    for (const id of await leftoverIds(ports)) {
      if (wanted(id) && !known(id)) await attempt('leftoverId', id, () => teardownLeftover(id, context))
    }
  }

  const attachedSandboxes = (): readonly string[] =>
    sandboxRecords.all().flatMap(({ id, state }) => (state.phase === 'stopped' ? [] : [id]))

  return {
    sandboxes,
    containers,
    commands: containerCommands(containerRecords, context),
    stats: createStats({ sandboxes: sandboxRecords, containers: containerRecords }, context),

    async recover() {
      await sandboxRecords.load()
      await containerRecords.load()
      await recoverEach(() => true)
      await removeLeftovers(() => true)
      await ports.network.collectGarbage(attachedSandboxes).catch((error: unknown) => {
        log.warn({ err: describeError(error) }, 'attachments that nobody needs are left on the pod network')
      })
    },

    interruptCheckpoints: () => containers.interruptCheckpoints(),

    async retryUnfinished() {
      await recoverEach(
        ({ id, state }) => state.phase === 'creating' || state.phase === 'stopping' || unfinished.has(id),
      )
      if (unfinished.size > 0) await removeLeftovers((id) => unfinished.has(id))
      containers.followAll()
    },
  }
}

/** Each as it is when its turn comes: what was being created before may be up by then, or be gone. */
function* inTurn<Item extends ContainerRecord | SandboxRecord>(
  catalogue: Catalogue<Item>,
  wanted: (record: Item) => boolean,
): Generator<Item> {
  for (const { id } of catalogue.all()) {
    const record = catalogue.find(id)
    if (record !== undefined && wanted(record)) yield record
  }
}
