import { closeSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import type {
  CgroupUsage,
  InterfaceUsage,
  Pressure,
  PressureLine,
  UsageCounters,
} from '#runtime/usage-port.ts'
import { type CgroupHierarchies, cgroupDirectory } from './cgroups.ts'
import { inNetwork } from './enter-namespaces.ts'

/** Each of these files is answered by one read(2). */
const buffer = Buffer.allocUnsafe(64 << 10)
/** "No limit" of version 1 is the biggest number of pages; containerd and kubelet draw the line here too. */
const UNLIMITED = 2 ** 62

export function createUsageCounters(hierarchies: CgroupHierarchies): UsageCounters {
  const mountOf = (controller: string): string | undefined =>
    hierarchies.mounts.find(({ name }) => name.split(',').includes(controller))?.path
  const [cpuacct, memory, pids, unified] = ['cpuacct', 'memory', 'pids', 'unified'].map(mountOf)
  const reader =
    (mount: string | undefined, path: string): ReadCounter =>
    (file) =>
      mount === undefined ? undefined : readCounter(join(mount, cgroupDirectory(path), file))

  return {
    cgroup(path) {
      const usage =
        hierarchies.version === 2
          ? usageOfVersion2(reader(unified, path))
          : usageOfVersion1({
              cpuacct: reader(cpuacct, path),
              memory: reader(memory, path),
              pids: reader(pids, path),
            })
      return usage.cpuNs === undefined && usage.memory === undefined ? undefined : usage
    },

    interfaces(netnsPath) {
      try {
        // This thread is the process's first, which /proc/self is about.
        return parseInterfaces(inNetwork(netnsPath, () => readCounter('/proc/self/net/dev') ?? ''))
      } catch {
        return [] // The namespace is gone.
      }
    },
  }
}

/** A file of a cgroup; undefined where there is none. */
type ReadCounter = (file: string) => string | undefined

/** Of cgroup v2: Documentation/admin-guide/cgroup-v2.rst. */
export function usageOfVersion2(read: ReadCounter): CgroupUsage {
  const cpu = numbersOf(read('cpu.stat'))
  const used = numberOf(read('memory.current'))
  const stat = used === undefined ? undefined : numbersOf(read('memory.stat'))
  const swapped = numberOf(read('memory.swap.current'))
  const usec = cpu?.get('usage_usec')
  return {
    cpuNs: usec === undefined ? undefined : usec * 1000,
    memory: stat && {
      ...memoryOf(used ?? 0, stat, {
        inactive: 'inactive_file',
        rss: 'anon',
        faults: 'pgfault',
        major: 'pgmajfault',
      }),
      limitBytes: numberOf(read('memory.max')),
    },
    swap:
      swapped === undefined
        ? undefined
        : { usageBytes: swapped, limitBytes: numberOf(read('memory.swap.max')) },
    tasks: numberOf(read('pids.current')),
    pressure: {
      cpu: parsePressure(read('cpu.pressure')),
      memory: parsePressure(read('memory.pressure')),
      io: parsePressure(read('io.pressure')),
    },
  }
}

/** Of cgroup v1: Documentation/admin-guide/cgroup-v1/{cpuacct,memory}.rst. Swap is counted with the memory there. */
export function usageOfVersion1(read: {
  readonly cpuacct: ReadCounter
  readonly memory: ReadCounter
  readonly pids: ReadCounter
}): CgroupUsage {
  const used = numberOf(read.memory('memory.usage_in_bytes'))
  const stat = used === undefined ? undefined : numbersOf(read.memory('memory.stat'))
  const limit = limitOf(read.memory('memory.limit_in_bytes'))
  const both = limitOf(read.memory('memory.memsw.limit_in_bytes'))
  const swapped = stat?.get('total_swap')
  return {
    cpuNs: numberOf(read.cpuacct('cpuacct.usage')),
    memory: stat && {
      ...memoryOf(used ?? 0, stat, {
        inactive: 'total_inactive_file',
        rss: 'total_rss',
        faults: 'total_pgfault',
        major: 'total_pgmajfault',
      }),
      limitBytes: limit,
    },
    swap:
      swapped === undefined
        ? undefined
        : {
            usageBytes: swapped,
            limitBytes: limit === undefined || both === undefined ? undefined : Math.max(0, both - limit),
          },
    tasks: numberOf(read.pids('pids.current')),
    pressure: { cpu: undefined, memory: undefined, io: undefined },
  }
}

type Counters = ReadonlyMap<string, number>

function memoryOf(
  usageBytes: number,
  stat: Counters,
  names: { readonly inactive: string; readonly rss: string; readonly faults: string; readonly major: string },
) {
  return {
    usageBytes,
    workingSetBytes: Math.max(0, usageBytes - (stat.get(names.inactive) ?? 0)),
    rssBytes: stat.get(names.rss) ?? 0,
    pageFaults: stat.get(names.faults) ?? 0,
    majorPageFaults: stat.get(names.major) ?? 0,
  }
}

/** Undefined for `max`, and for what is not there. */
function numberOf(text: string | undefined): number | undefined {
  const number = Number(text)
  return Number.isFinite(number) ? number : undefined
}

function limitOf(text: string | undefined): number | undefined {
  const number = numberOf(text)
  return number === undefined || number >= UNLIMITED ? undefined : number
}

/** Lines of `name number`. */
function numbersOf(text: string | undefined): Counters | undefined {
  if (text === undefined) return undefined
  const lines = text.split('\n').map((line) => line.split(' '))
  return new Map(lines.map(([name = '', value]) => [name, Number(value)]))
}

/** `some avg10=0.12 avg60=0.00 avg300=0.00 total=4711` and `full …`; the total is in microseconds. */
export function parsePressure(text: string | undefined): Pressure | undefined {
  const line = (kind: string): PressureLine | undefined => {
    const found = text?.match(
      new RegExp(`^${kind} avg10=([\\d.]+) avg60=([\\d.]+) avg300=([\\d.]+) total=(\\d+)$`, 'm'),
    )
    if (found === undefined || found === null) return undefined
    const [, avg10, avg60, avg300, total] = found.map(Number)
    return { totalNs: (total ?? 0) * 1000, avg10: avg10 ?? 0, avg60: avg60 ?? 0, avg300: avg300 ?? 0 }
  }
  const some = line('some')
  return some === undefined ? undefined : { some, full: line('full') }
}

/** Of /proc/net/dev: `eth0: bytes packets errs drop fifo frame compressed multicast bytes packets errs …`. */
export function parseInterfaces(text: string): readonly InterfaceUsage[] {
  return text.split('\n').flatMap((line) => {
    const [, name, rest = ''] = line.match(/^\s*(\S+):\s*(.*)$/) ?? []
    if (name === undefined || name === 'lo') return []
    const counts = rest.split(/\s+/).map(Number)
    const at = (index: number): number => counts[index] ?? 0
    return [{ name, receivedBytes: at(0), receiveErrors: at(2), sentBytes: at(8), sendErrors: at(10) }]
  })
}

/** Undefined when it cannot be read: it went with its cgroup, or the kernel does not count it. */
function readCounter(path: string): string | undefined {
  let fd: number | undefined
  try {
    fd = openSync(path, 'r')
    return buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0))
  } catch {
    return undefined
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}
