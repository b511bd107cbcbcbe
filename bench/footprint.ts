import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** Memory of the processes of one program. PSS counts a shared page by its share. */
export interface Footprint {
  readonly program: string
  readonly count: number
  readonly pssKiB: number
  readonly rssKiB: number
}

/** The daemon, its descendants, and the monitors wherever they hang; the pods' own processes are not counted. */
export function footprint(daemonPid: number, monitor: string): readonly Footprint[] {
  const byProgram = new Map<string, Footprint>()
  for (const pid of pids()) {
    const program = programOf(pid)
    if (program === undefined || (pid !== daemonPid && program !== monitor)) continue
    const name = pid === daemonPid ? 'daemon' : program
    const old = byProgram.get(name) ?? { program: name, count: 0, pssKiB: 0, rssKiB: 0 }
    const memory = memoryOf(pid)
    byProgram.set(name, {
      program: name,
      count: old.count + 1,
      pssKiB: old.pssKiB + memory.pssKiB,
      rssKiB: old.rssKiB + memory.rssKiB,
    })
  }
  return [...byProgram.values()]
}

export const totalPssKiB = (footprints: readonly Footprint[]): number =>
  footprints.reduce((total, { pssKiB }) => total + pssKiB, 0)

/** User and system time of one process, in seconds. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

function memoryOf(pid: number): { readonly pssKiB: number; readonly rssKiB: number } {
  try {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
    const field = (name: string): number =>
      Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(rollup)?.[1] ?? 0)
    return { pssKiB: field('Pss'), rssKiB: field('Rss') }
  } catch {
    return { pssKiB: 0, rssKiB: 0 } // It has ended meanwhile.
  }
}

function programOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`).split('/').at(-1)
  } catch {
    return undefined // A thread of the kernel, or ended meanwhile.
  }
}

const pids = (): readonly number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
