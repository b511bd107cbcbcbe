import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CriError, describeError } from '#lib/errors.ts'
import type { CheckpointRequest, MonitorRequest } from '#runtime/monitor-port.ts'
import type { Cgroup } from './cgroups.ts'
import type { HeldLocks } from './object-lock.ts'
import type { OciRuntime } from './oci-runtime.ts'
import { readOrUndefined, stateOf } from './proc.ts'

/**
 * A container goes on from CRIU's images as one that is created: its processes are stopped (SIGSTOP) until StartContainer
 * lets them go on. `leave-stopped` has CRIU do that, and OCI runtimes read its options from a file that an annotation names.
 *
 *   home/restored    it waits for its start       home/criu.conf   CRIU's options
 *   home/frozen      a checkpoint is under way
 */
const CRIU_OPTIONS = ['leave-stopped', 'tcp-close']
const SIGCONT = 18

const markOf = (home: string, name: 'restored' | 'frozen'): string => join(home, name)
const optionsOf = (home: string): string => join(home, 'criu.conf')

/** Annotations of a config.json that CRIU is to be run for, with what they name. */
export function prepareRestore(home: string): { readonly [name: string]: string } {
  writeFileSync(optionsOf(home), `${CRIU_OPTIONS.join('\n')}\n`)
  writeFileSync(markOf(home, 'restored'), '')
  return { 'org.criu.config': optionsOf(home) }
}

/** Whether the container was restored and has not been started yet. */
export function waitsRestored(home: string): boolean {
  if (!existsSync(markOf(home, 'restored'))) return false
  const init = readOrUndefined(join(home, 'pid'))
  return init === undefined || stateOf(Number(init)) === 'T'
}

/** Lets it go on; the init last, since that is what tells. */
export function startRestored(home: string, cgroup: Cgroup | undefined): void {
  const init = Number(readFileSync(join(home, 'pid'), 'utf8'))
  for (const pid of [...(cgroup?.processes() ?? []).filter((each) => each !== init), init]) {
    try {
      process.kill(pid, SIGCONT)
    } catch {
      // It has ended.
    }
  }
  rmSync(markOf(home, 'restored'))
}

/** Has the container's state written and leaves its processes frozen; its config.json. */
export async function freezeAndDump(
  home: string,
  runtime: OciRuntime,
  { id, directories, timeoutMs }: CheckpointRequest,
): Promise<object> {
  if (existsSync(optionsOf(home))) writeFileSync(optionsOf(home), '') // They were for its restore.
  writeFileSync(markOf(home, 'frozen'), '')
  await runtime.pause(id)
  try {
    await runtime.checkpoint(id, directories, timeoutMs)
  } catch (error) {
    if (!(error instanceof CriError)) throw error
    const said = criuErrors(join(directories.work, 'dump.log'))
    throw said === '' ? error : new CriError(error.kind, `${describeError(error)}: CRIU says: ${said}`)
  }
  return JSON.parse(readFileSync(join(home, 'bundle', 'config.json'), 'utf8')) as object
}

export async function thaw(home: string, runtime: () => OciRuntime, id: string): Promise<void> {
  if (!existsSync(markOf(home, 'frozen'))) return
  await runtime().resume(id)
  rmSync(markOf(home, 'frozen'))
}

/** What an earlier daemon's checkpoint is still at is ended first: it would be of two moments. */
export async function thawAdopted(
  home: string,
  runtime: () => OciRuntime,
  id: string,
  locks: Pick<HeldLocks, 'settle'>,
): Promise<void> {
  if (!existsSync(markOf(home, 'frozen'))) return
  await locks.settle(id, 0)
  await thaw(home, runtime, id)
}

/** Throws a creation's error again, of a restore with what CRIU wrote of it: OCI runtimes leave that in the bundle. */
export const tellsOfRestore =
  (home: string, { restoreFrom }: Pick<MonitorRequest, 'restoreFrom'>) =>
  (error: unknown): never => {
    const said = restoreFrom === undefined ? '' : criuErrors(join(home, 'bundle', 'restore.log'))
    if (!(error instanceof CriError) || said === '') throw error
    const remedy = /Can't fork for \d+: File exists/.test(said)
      ? ' (a process of the pod has that id already: restore it in another pod, or in one whose containers have PID namespaces of their own)'
      : ''
    throw new CriError(error.kind, `${error.message}: CRIU says: ${said}${remedy}`, { cause: error.cause })
  }

/** The last of CRIU's errors, without its timestamps; '' where it wrote none. */
export function criuErrors(logFile: string): string {
  const errors = readOrUndefined(logFile)
    ?.split('\n')
    .flatMap((line) => line.match(/Error \([^)]*\): (.*)$/)?.[1] ?? [])
  return errors?.slice(-3).join('; ') ?? ''
}
