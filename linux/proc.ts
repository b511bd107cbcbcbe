import { readdirSync, readFileSync } from 'node:fs'
import type { Process } from '#runtime/pod-sandbox/record.ts'

interface Stat {
  readonly state: string
  readonly parent: number
  readonly session: number
  readonly startTimeTicks: string
}

/** The process of that id now; undefined when there is none, or only a zombie is left of it. */
export function processOf(pid: number): Process | undefined {
  const stat = statOf(pid)
  return stat === undefined || stat.state === 'Z' ? undefined : { pid, startTimeTicks: stat.startTimeTicks }
}

/** Whether exactly this process lives, and not another that got its id. */
export const isAlive = ({ pid, startTimeTicks }: Process): boolean =>
  processOf(pid)?.startTimeTicks === startTimeTicks

/** The ids of all processes whose command line `matches` (its arguments, as they are). */
export function findProcesses(matches: (argv: readonly string[]) => boolean): readonly number[] {
  return allPids().filter((pid) => {
    const commandLine = readOrUndefined(`/proc/${pid}/cmdline`)
    return commandLine !== undefined && matches(commandLine.split('\0'))
  })
}

/** The processes of a session, its leader included. */
export const sessionMembers = (session: number): readonly number[] =>
  allPids().filter((pid) => statOf(pid)?.session === session)

function allPids(): readonly number[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []))
}

function statOf(pid: number): Stat | undefined {
  const text = readOrUndefined(`/proc/${pid}/stat`)
  return text === undefined ? undefined : parseStat(text)
}

/** Its state, as `T` for stopped; undefined when it is gone. */
export const stateOf = (pid: number): string | undefined => statOf(pid)?.state

/** proc_pid_stat(5); the second field, the name in parentheses, may hold anything. */
export function parseStat(text: string): Stat {
  const [state = '', parent, , session, ...rest] = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { state, parent: Number(parent), session: Number(session), startTimeTicks: rest[15] ?? '' }
}

/** Kills a process; one that has ended by itself is fine. */
export function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

/** A file of /proc or of a cgroup, which may go with what it tells of; undefined when it is gone. */
export function readOrUndefined(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
