import { invalidArgument } from '#lib/errors.ts'
import type { Resources } from '../container/record.ts'
import type { HostFacts } from '../ports.ts'
import type { OciResources } from './oci-spec.ts'

/**
 * Limits as config.json has them; what is zero is left out. A new container has no CPU quota: crun 1.8 fails with
 * one of -1 on cgroup v1.
 */
export function toOciResources(resources: Resources, host: HostFacts): OciResources {
  return limitsOf({ ...resources, cpuQuotaUs: Math.max(0, resources.cpuQuotaUs) }, host)
}

function limitsOf(resources: Resources, host: HostFacts): OciResources {
  const cpu = given({
    shares: resources.cpuShares,
    quota: resources.cpuQuotaUs,
    period: resources.cpuPeriodUs,
    cpus: resources.cpusetCpus,
    mems: resources.cpusetMems,
  })
  const memory = given({ limit: resources.memoryLimitBytes, swap: swapLimit(resources, host) })
  const hugepageLimits = limitableHugepages(resources, host)
  checkUnified(resources, host)
  checkSwap(resources)
  return {
    ...(cpu === undefined ? {} : { cpu }),
    ...(memory === undefined ? {} : { memory }),
    ...(hugepageLimits.length === 0 ? {} : { hugepageLimits }),
    ...(Object.keys(resources.unified).length === 0 ? {} : { unified: resources.unified }),
  }
}

/** The same for `update --resources -` of a container that runs. */
export function toOciUpdate(resources: Resources, host: HostFacts): OciResources {
  const given = limitsOf(resources, host)
  return given.memory?.limit === undefined
    ? given
    : { ...given, memory: { ...given.memory, checkBeforeUpdate: true } }
}

/**
 * What an update leaves of a container's resources: what it gives (not zero) replaces, the rest stays. So does
 * the OOM score: OCI runtimes set it at a creation only.
 */
export function mergeResources(current: Resources, update: Resources): Resources {
  const pageSizes = new Map(
    [...current.hugepageLimits, ...update.hugepageLimits].map((limit) => [limit.pageSize, limit]),
  )
  return {
    cpuPeriodUs: update.cpuPeriodUs || current.cpuPeriodUs,
    cpuQuotaUs: update.cpuQuotaUs || current.cpuQuotaUs,
    cpuShares: update.cpuShares || current.cpuShares,
    memoryLimitBytes: update.memoryLimitBytes || current.memoryLimitBytes,
    memorySwapLimitBytes: update.memorySwapLimitBytes || raisedSwap(current, update),
    oomScoreAdj: current.oomScoreAdj,
    cpusetCpus: update.cpusetCpus || current.cpusetCpus,
    cpusetMems: update.cpusetMems || current.cpusetMems,
    hugepageLimits: [...pageSizes.values()],
    unified: { ...current.unified, ...update.unified },
  }
}

/** Memory and swap together are never less than memory: a limit that passes the earlier one takes it along. */
const raisedSwap = ({ memorySwapLimitBytes: swap }: Resources, { memoryLimitBytes }: Resources): number =>
  swap > 0 ? Math.max(swap, memoryLimitBytes) : swap

/** A memory limit alone would let the container swap as much again, so that swap has the same where none is given. */
function swapLimit({ memoryLimitBytes, memorySwapLimitBytes }: Resources, host: HostFacts): number {
  return host.swapLimits ? memorySwapLimitBytes || memoryLimitBytes : 0
}

/** The limit is of memory and swap together: containerd and runc have it so on both versions of cgroups. */
function checkSwap({ memoryLimitBytes, memorySwapLimitBytes }: Resources): void {
  if (memorySwapLimitBytes <= 0) return
  const field = `linux.resources.memory_swap_limit_in_bytes is ${memorySwapLimitBytes}`
  if (memoryLimitBytes <= 0) {
    throw invalidArgument(
      `${field}, but memory_limit_in_bytes is not given: it is the limit of both together`,
    )
  }
  if (memorySwapLimitBytes < memoryLimitBytes) {
    throw invalidArgument(
      `${field}, less than memory_limit_in_bytes (${memoryLimitBytes}): it is the limit of both together`,
    )
  }
}

/** kubelet sends a limit for every page size of the node, also where the kernel can't limit them. */
function limitableHugepages({ hugepageLimits }: Resources, host: HostFacts) {
  return hugepageLimits
    .filter(({ pageSize }) => host.hugepageSizes.includes(pageSize))
    .map(({ pageSize, limitBytes }) => ({ pageSize, limit: limitBytes }))
}

function checkUnified({ unified }: Resources, host: HostFacts): void {
  const [first] = Object.keys(unified)
  if (first === undefined || host.cgroupVersion === 2) return
  throw invalidArgument(
    `resources.unified (${first}) needs cgroup v2, and this host runs cgroup v1: leave it out`,
  )
}

/** Its entries that are not zero or empty; undefined when none is left. */
function given<Values extends { readonly [name: string]: number | string }>(
  values: Values,
): Partial<Values> | undefined {
  const entries = Object.entries(values).filter(([, value]) => value !== 0 && value !== '')
  return entries.length === 0 ? undefined : (Object.fromEntries(entries) as Partial<Values>)
}
