import { setImmediate as turn } from 'node:timers/promises'
import type { ContainerRecord } from '../container/record.ts'
import { cgroupsPath } from '../oci-spec/cgroups-path.ts'
import type { SandboxRecord } from '../pod-sandbox/record.ts'
import type { RuntimeContext } from '../runtime-context.ts'
import type { ContainerStats, SandboxStats, StatsService, Usage } from '../services.ts'
import type { CgroupUsage, InterfaceUsage } from '../usage-port.ts'
import { ownsCgroup } from './own-cgroup.ts'
import { ageNs, type Sample, Samples } from './samples.ts'
import { sumUsage } from './sum-usage.ts'

/** Cgroups that are read without letting other calls have their turn: some 2 ms. */
const READS_PER_TURN = 20

export interface StatsRecords {
  readonly sandboxes: {
    find(id: string): SandboxRecord | undefined
    list(): readonly SandboxRecord[]
  }
  readonly containers: { list(): readonly ContainerRecord[] }
}

/** What pods and containers use: read when asked for, at most once a second. At rest nothing is read. */
export function createStats(records: StatsRecords, context: RuntimeContext): StatsService {
  const { ports, host, options } = context
  const cgroups = new Samples(ports.usage.cgroup, options.nowNs)
  const interfaces = new Samples(ports.usage.interfaces, options.nowNs)

  const sampleOf = (sandbox: SandboxRecord, id: string): Sample<CgroupUsage> | undefined =>
    cgroups.get(cgroupsPath(sandbox.spec.cgroupParent, id, host.cgroupDriver))

  function containerStats(record: ContainerRecord): ContainerStats {
    const { phase } = record.state
    const sandbox = records.sandboxes.find(record.spec.sandboxId)
    const lives = sandbox !== undefined && (phase === 'created' || phase === 'running')
    const usage = lives ? sampleOf(sandbox, record.id) : undefined
    return { record, usage: usage && usageOf([usage]), written: ports.rootfs.written(record.id) }
  }

  /** The pod's cgroup, which also holds what its volumes in memory take; else its containers and its init together. */
  function podUsage(record: SandboxRecord, containers: readonly ContainerStats[]): Usage | undefined {
    const { id, spec, state } = record
    const whole = ownsCgroup(record, records.sandboxes.list()) ? cgroups.get(spec.cgroupParent) : undefined
    if (whole !== undefined) return usageOf([whole])
    const living = containers.filter(({ usage }) => usage !== undefined).map((each) => each.record.id)
    const ids = state.phase === 'ready' && state.init !== undefined ? [...living, id] : living
    return usageOf(ids.flatMap((each) => sampleOf(record, each) ?? []))
  }

  async function network(id: string): Promise<SandboxStats['network']> {
    const { network: path } = await ports.namespaces.find(id)
    const sample = path === undefined ? undefined : interfaces.get(path)
    return sample && { atNs: sample.atNs, interfaces: sample.value satisfies readonly InterfaceUsage[] }
  }

  return {
    containers: (wanted) => inTurns(wanted, async (record) => containerStats(record)),

    sandboxes: (wanted) =>
      inTurns(wanted, async (record) => {
        const own = records.containers.list().filter(({ spec }) => spec.sandboxId === record.id)
        const containers = await inTurns(own, async (each) => containerStats(each))
        const usage = podUsage(record, containers)
        return { record, atNs: options.nowNs(), usage, network: await network(record.id), containers }
      }),
  }
}

async function inTurns<Item, Answer>(
  items: readonly Item[],
  look: (item: Item) => Promise<Answer>,
): Promise<readonly Answer[]> {
  const answers: Answer[] = []
  for (const [index, item] of items.entries()) {
    if (index > 0 && index % READS_PER_TURN === 0) await turn()
    answers.push(await look(item))
  }
  return answers
}

/** Of what was sampled within the last second, together; at the time of the latest. */
function usageOf(samples: readonly Sample<CgroupUsage>[]): Usage | undefined {
  const sum = sumUsage(samples.map(({ value }) => value))
  const [first, ...others] = samples
  if (sum === undefined || first === undefined) return undefined
  // One cgroup's own figures have more than a sum can have.
  const value = others.length === 0 ? first.value : sum
  const rates = samples.map(nanoCoresOf)
  return {
    ...value,
    atNs: samples.reduce((latest, { atNs }) => (BigInt(atNs) > BigInt(latest) ? atNs : latest), first.atNs),
    nanoCores: rates.some((rate) => rate === undefined)
      ? undefined
      : rates.reduce<number>((total, rate) => total + (rate ?? 0), 0),
  }
}

/** Billionths of a CPU since the sample before; undefined where there is none, or of an earlier cgroup of that name. */
function nanoCoresOf({ atNs, value, before }: Sample<CgroupUsage>): number | undefined {
  if (before?.value.cpuNs === undefined || value.cpuNs === undefined) return undefined
  const usedNs = value.cpuNs - before.value.cpuNs
  return usedNs < 0 ? undefined : Math.round((usedNs / ageNs(before, atNs)) * 1e9)
}
