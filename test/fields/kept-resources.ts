import { expect } from 'vitest'
import type { Fields } from '#test/e2e/pod.ts'
import { type Effect, effect, type FieldTable, resourceFields, shows, under } from './field-row.ts'

/** Kept, as the cgroup is kubelet's own: inspectp shows it. */
export function keptResources(part: 'overhead' | 'resources', at: string): FieldTable {
  const kept: Effect['seen'] = async ({ daemon, pod }) => {
    const { info } = await daemon.crictlJson('inspectp', pod.id)
    return info.resources?.[part === 'overhead' ? part : 'containers']
  }
  const values: Fields = {
    ...{ cpu_period: 50_000, cpu_quota: 20_000, cpu_shares: 512, cpuset_cpus: '0', cpuset_mems: '0' },
    ...{ oom_score_adj: 900, memory_limit_in_bytes: 1 << 20, memory_swap_limit_in_bytes: 2 << 20 },
    unified: { 'memory.high': '1' },
  }
  const is = expect.objectContaining({
    ...{ cpuPeriodUs: 50_000, cpuQuotaUs: 20_000, cpuShares: 512, cpusetCpus: '0', cpusetMems: '0' },
    ...{ oomScoreAdj: 900, memoryLimitBytes: 1 << 20, memorySwapLimitBytes: 2 << 20 },
    unified: { 'memory.high': '1' },
    hugepageLimits: [{ pageSize: '2MB', limitBytes: 4 << 20 }],
  })
  const rows = resourceFields.map((field) => [
    field,
    field in values ? effect(values[field], kept, is) : shows(kept, is),
  ])
  return under(at, Object.fromEntries(rows))
}

/** What `keptResources` leaves to the request. */
export const hugepages: Fields = { hugepage_limits: [{ page_size: '2MB', limit: 4 << 20 }] }
