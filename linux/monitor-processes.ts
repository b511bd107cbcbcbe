import { readFileSync } from 'node:fs'
import type { Process } from '#runtime/pod-sandbox/record.ts'
import { findProcesses, isAlive, killQuietly, processOf, sessionMembers } from './proc.ts'
import type { ProcessWatcher } from './process-watcher.ts'

/** The monitors that earlier daemons with this exit directory have left running, by container id. */
export function monitorsById(conmonPath: string, exits: string): Map<string, Process[]> {
  const monitors = new Map<string, Process[]>()
  const pids = findProcesses((argv) => argv[0] === conmonPath && argumentOf(argv, '--exit-dir') === exits)
  for (const pid of pids) {
    const id = argumentOf(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0'), '--cid')
    const monitor = processOf(pid)
    if (id === undefined || monitor === undefined) continue
    monitors.set(id, [...(monitors.get(id) ?? []), monitor])
  }
  return monitors
}

/** Kills monitors with what they have started in their session (an OCI runtime's create), and waits for their end. */
export async function killMonitors(monitors: readonly Process[], watcher: ProcessWatcher): Promise<void> {
  for (const monitor of monitors.filter(isAlive)) {
    const members = sessionMembers(monitor.pid)
    const ended = members.map((pid) => watcher.ended(pid))
    for (const pid of members) killQuietly(pid)
    await Promise.all(ended)
  }
}

function argumentOf(argv: readonly string[], option: string): string | undefined {
  const index = argv.indexOf(option)
  return index < 0 ? undefined : argv[index + 1]
}
