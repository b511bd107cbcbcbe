import { invalidArgument } from '#lib/errors.ts'
import { LinuxContainerResources } from '#proto/gen/runtime/v1/api.ts'
import type { Resources } from '#runtime/container/record.ts'

/** api.proto, LinuxContainerResources: zero and '' are "not specified". */
const unsaid = LinuxContainerResources.decode(new Uint8Array())

/**
 * Throws invalid-argument for what no kernel takes, by the field's name below `at`.
 * −1 is "no limit" for the quota, memory and swap.
 */
export function convertResources(
  resources: LinuxContainerResources = unsaid,
  at = 'linux.resources',
): Resources {
  const number = (value: bigint, field: string, ...ranges: readonly Range[]): number =>
    within(value, `${at}.${field}`, ranges)
  return {
    cpuPeriodUs: number(resources.cpuPeriod, 'cpu_period', [1000, 1_000_000]),
    cpuQuotaUs: number(resources.cpuQuota, 'cpu_quota', [-1, -1], [1000, Number.MAX_SAFE_INTEGER]),
    cpuShares: number(resources.cpuShares, 'cpu_shares', [2, 262_144]),
    memoryLimitBytes: number(resources.memoryLimitInBytes, 'memory_limit_in_bytes', fromNoLimit),
    memorySwapLimitBytes: number(resources.memorySwapLimitInBytes, 'memory_swap_limit_in_bytes', fromNoLimit),
    oomScoreAdj: number(resources.oomScoreAdj, 'oom_score_adj', [-1000, 1000]),
    cpusetCpus: cpuList(resources.cpusetCpus, `${at}.cpuset_cpus`),
    cpusetMems: cpuList(resources.cpusetMems, `${at}.cpuset_mems`),
    hugepageLimits: resources.hugepageLimits.map((limit, index) =>
      convertHugepageLimit(limit, `${at}.hugepage_limits[${index}]`),
    ),
    unified: convertUnified(resources.unified, `${at}.unified`),
  }
}

type Range = readonly [least: number, most: number]

const fromNoLimit: Range = [-1, Number.MAX_SAFE_INTEGER]

/** Zero is always "not specified". Beyond 2^53 is nothing that JSON and config.json hold exactly. */
function within(value: bigint, field: string, ranges: readonly Range[]): number {
  const isIn = ([least, most]: Range): boolean => value >= least && value <= most
  if (value === 0n || ranges.some(isIn)) return Number(value)
  if (value > Number.MAX_SAFE_INTEGER) {
    throw invalidArgument(`${field} is ${value}: more than 2^53 is no limit, leave it out`)
  }
  const allowed = ranges.map(([least, most]) => {
    if (least === most) return `${least}`
    return most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `${least} to ${most}`
  })
  throw invalidArgument(`${field} is ${value}: it may be ${allowed.join(', ')}, or 0 for "not given"`)
}

/** cpuset(7), list format. */
function cpuList(list: string, field: string): string {
  if (list === '' || /^\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*$/.test(list)) return list
  throw invalidArgument(`${field} is ${JSON.stringify(list)}: it is a list like 0-3,7`)
}

function convertHugepageLimit(
  { pageSize, limit }: LinuxContainerResources['hugepageLimits'][number],
  field: string,
): Resources['hugepageLimits'][number] {
  if (!/^[1-9]\d*[KMG]B$/.test(pageSize)) {
    throw invalidArgument(`${field}.page_size is ${JSON.stringify(pageSize)}: it is a size like 2MB or 1GB`)
  }
  return { pageSize, limitBytes: within(limit, `${field}.limit`, [[0, Number.MAX_SAFE_INTEGER]]) }
}

/** Names of files in a cgroup, and what is written there. */
function convertUnified(unified: { readonly [key: string]: string }, field: string): Resources['unified'] {
  for (const [key, value] of Object.entries(unified)) {
    if (!/^[a-z][a-z0-9_]*(?:\.[A-Za-z0-9_]+)+$/.test(key)) {
      throw invalidArgument(
        `${field}[${JSON.stringify(key)}]: a key is the name of a file of cgroup v2, as memory.high`,
      )
    }
    if (value === '' || /[\0\n]/.test(value)) {
      throw invalidArgument(
        `${field}[${JSON.stringify(key)}] is ${JSON.stringify(value)}: it is one line of text`,
      )
    }
  }
  return { ...unified }
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
