import { invalidArgument } from '#lib/errors.ts'
import { LinuxContainerResources } from '#proto/gen/runtime/v1/api.ts'
import type { Resources } from '#runtime/container/record.ts'

/** api.proto, LinuxContainerResources: zero and '' are "not specified". */
const unsaid = LinuxContainerResources.decode(new Uint8Array())

/** Throws invalid-argument for what no kernel takes. −1 is "no limit" for the quota, memory and swap. */
export function convertResources(resources: LinuxContainerResources = unsaid): Resources {
  const oomScoreAdj = toNumber(resources.oomScoreAdj, 'oom_score_adj')
  if (Math.abs(oomScoreAdj) > 1000) {
    throw invalidArgument(`linux.resources.oom_score_adj is ${oomScoreAdj}: it may be -1000 to 1000`)
  }
  return {
    cpuPeriodUs: atLeast(0, resources.cpuPeriod, 'cpu_period'),
    cpuQuotaUs: atLeast(-1, resources.cpuQuota, 'cpu_quota'),
    cpuShares: atLeast(0, resources.cpuShares, 'cpu_shares'),
    memoryLimitBytes: atLeast(-1, resources.memoryLimitInBytes, 'memory_limit_in_bytes'),
    memorySwapLimitBytes: atLeast(-1, resources.memorySwapLimitInBytes, 'memory_swap_limit_in_bytes'),
    oomScoreAdj,
    cpusetCpus: resources.cpusetCpus,
    cpusetMems: resources.cpusetMems,
    hugepageLimits: resources.hugepageLimits.map(({ pageSize, limit }) => ({
      pageSize,
      limitBytes: toNumber(limit, `hugepage_limits of ${pageSize}`),
    })),
    unified: { ...resources.unified },
  }
}

export function resourcesToWire(resources: Resources): LinuxContainerResources {
  return {
    cpuPeriod: BigInt(resources.cpuPeriodUs),
    cpuQuota: BigInt(resources.cpuQuotaUs),
    cpuShares: BigInt(resources.cpuShares),
    memoryLimitInBytes: BigInt(resources.memoryLimitBytes),
    memorySwapLimitInBytes: BigInt(resources.memorySwapLimitBytes),
    oomScoreAdj: BigInt(resources.oomScoreAdj),
    cpusetCpus: resources.cpusetCpus,
    cpusetMems: resources.cpusetMems,
    hugepageLimits: resources.hugepageLimits.map(({ pageSize, limitBytes }) => ({
      pageSize,
      limit: BigInt(limitBytes),
    })),
    unified: resources.unified,
  }
}

function atLeast(least: number, value: bigint, field: string): number {
  if (value >= least) return toNumber(value, field)
  throw invalidArgument(`linux.resources.${field} is ${value}: it may be ${least} or more`)
}

/** A number that JSON and config.json hold exactly. */
function toNumber(value: bigint, field: string): number {
  const number = Number(value)
  if (Number.isSafeInteger(number)) return number
  throw invalidArgument(`linux.resources.${field} is ${value}: more than 2^53 is no limit, leave it out`)
}
