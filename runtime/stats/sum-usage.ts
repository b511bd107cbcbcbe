import type { CgroupUsage } from '../usage-port.ts'

/** What cgroups use together; undefined of none. Waiting for resources can't be added: some of it was at the same time. */
export function sumUsage(usages: readonly CgroupUsage[]): CgroupUsage | undefined {
  if (usages.length === 0) return undefined
  const memories = usages.flatMap(({ memory }) => memory ?? [])
  const swaps = usages.flatMap(({ swap }) => swap ?? [])
  return {
    cpuNs: sum(usages.map(({ cpuNs }) => cpuNs)),
    memory:
      memories.length < usages.length
        ? undefined
        : {
            usageBytes: add(memories.map(({ usageBytes }) => usageBytes)),
            workingSetBytes: add(memories.map(({ workingSetBytes }) => workingSetBytes)),
            rssBytes: add(memories.map(({ rssBytes }) => rssBytes)),
            pageFaults: add(memories.map(({ pageFaults }) => pageFaults)),
            majorPageFaults: add(memories.map(({ majorPageFaults }) => majorPageFaults)),
            limitBytes: sum(memories.map(({ limitBytes }) => limitBytes)),
          },
    swap:
      swaps.length < usages.length
        ? undefined
        : {
            usageBytes: add(swaps.map(({ usageBytes }) => usageBytes)),
            limitBytes: sum(swaps.map(({ limitBytes }) => limitBytes)),
          },
    tasks: sum(usages.map(({ tasks }) => tasks)),
    pressure: { cpu: undefined, memory: undefined, io: undefined },
  }
}

const add = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

/** Undefined where one of them is: then the whole is not known, or not limited. */
const sum = (values: readonly (number | undefined)[]): number | undefined =>
  values.reduce<number | undefined>(
    (total, value) => (total === undefined || value === undefined ? undefined : total + value),
    0,
  )
