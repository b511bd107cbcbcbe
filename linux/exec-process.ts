import { closeSync, fstatSync, readFileSync, writeFileSync } from 'node:fs'
import { CriError, errnoOf } from '#lib/errors.ts'
import type { Cgroup } from './cgroups.ts'
import { contentOf, killGroup } from './command.ts'
import type { ConsoleSocket } from './console-socket.ts'
import { type ExecSlot, takeExecSlot } from './exec-slots.ts'
import { hasOwnInits } from './exit-waiter.ts'
import { memoryFile } from './libc.ts'
import type { HeldLocks } from './object-lock.ts'
import { globalArguments, type OciRuntime, runtimeMessage } from './oci-runtime.ts'
import { posixSpawn } from './posix-spawn.ts'
import type { ProcessWatcher } from './process-watcher.ts'

export interface ExecEnvironment {
  readonly runtime: OciRuntime
  readonly locks: HeldLocks
  readonly watcher: ProcessWatcher
  readonly cgroup: Cgroup
  /** Where a file marks each exec under way: after a crash its processes are killed by it. */
  readonly marks: string
}

export interface ExecCommand {
  /** The container's. */
  readonly id: string
  /** `process` of the OCI runtime specification. */
  readonly ociProcess: object
}

/** File descriptors, which the caller closes: 0, 1 and 2 of the command. */
export type Stdio = readonly [stdin: number, stdout: number, stderr: number]

/** A command under way in a container. Its disposal gives its cgroup back; what it left there lives on. */
export interface ExecProcess extends Disposable {
  /** Kills all that the command has started, whether it left its session or not. */
  kill(): void
  /** Until `ended` has resolved. */
  runs(): boolean
  /** Tells the OCI runtime that the size of the terminal that it was given has changed. */
  tellResize(): void
  /**
   * The command's exit code, once its OCI runtime has ended too. runc stays while anybody holds the output, which it
   * copies: it is ended once `isDrained` says that there is no more, told how long ago the command itself has ended.
   */
  ended(isDrained: (sinceEndMs: number) => boolean): Promise<number>
  /** Throws failed-precondition where the runtime says that it could not run the command. */
  refuseFailure(): void
}

const LOG_LIMIT_BYTES = 64 << 10
/** How often runc's log is looked at. */
const LOOK_MS = 100

/** Starts a command in a container by its OCI runtime, in a cgroup of its own below the container's. */
export function startExec(
  command: ExecCommand,
  environment: ExecEnvironment,
  stdio: Stdio,
  console?: ConsoleSocket,
): ExecProcess {
  const { runtime, locks, watcher, cgroup, marks } = environment
  using held = new DisposableStack()
  const slot = held.use(takeExecSlot(cgroup, marks))
  const lock = held.use(locks.hold(command.id))
  const log = held.adopt(memoryFile('log'), closeSync)
  const pid = spawnRuntime(command, runtime, slot, [...stdio, lock.fd], log, console)
  const told = isRunc(runtime) ? exitCodeTeller(slot.mark, log) : (): undefined => undefined
  let runs = true
  const kill = (): void => {
    slot.cgroup.kill()
    killGroup(pid)
    slot.cgroup.kill() // What the runtime put there before it died.
  }
  held.use(registered(command.id, () => (runs ? kill() : undefined)))
  const owned = held.move()
  return {
    kill,
    runs: () => runs,
    tellResize() {
      if (!runs) return // Its pid may be another's by now.
      try {
        process.kill(pid, 'SIGWINCH')
      } catch {
        // It has just ended.
      }
    },
    ended: (isDrained) => exitCodeOf(pid, watcher, told, isDrained).finally(() => (runs = false)),
    refuseFailure() {
      // The runtime complains in its log only when it could not start the command, or lost it.
      const complaint = complaintIn(log)
      if (complaint === '') return
      const said = runtimeMessage(complaint, 255)
      const what = `container ${command.id}: ${runtime.options.handler} exec`
      throw new CriError('failed-precondition', `${what}: ${said}`)
    },
    [Symbol.dispose]: () => owned.dispose(),
  }
}

const underWay = new Map<string, Set<() => void>>()

function registered(id: string, kill: () => void): Disposable {
  const kills = underWay.get(id) ?? new Set()
  underWay.set(id, kills.add(kill))
  return {
    [Symbol.dispose]() {
      kills.delete(kill)
      if (kills.size === 0) underWay.delete(id)
    },
  }
}

/**
 * Of a container that has ended: a runc that was just starting a command in it may hang, with a dead child that keeps the
 * pod's PID namespace alive.
 */
export function killExecs(id: string): void {
  for (const kill of underWay.get(id) ?? []) kill()
}

const isRunc = ({ options }: OciRuntime): boolean => options.program === 'runc'
/**
 * Whether a command's terminal is to be asked for by a console socket. crun passes bytes between that terminal and the
 * one it is given, but drops what is on its way when the command ends; runc takes a socket only to be left alone.
 */
export const handsOverTerminal = ({ options }: OciRuntime): boolean => options.program === 'crun'

function spawnRuntime(
  { id, ociProcess }: ExecCommand,
  runtime: OciRuntime,
  slot: ExecSlot,
  fds: readonly number[],
  log: number,
  console: ConsoleSocket | undefined,
): number {
  const { options } = runtime
  const spec = memoryFile('process.json')
  try {
    writeFileSync(spec, JSON.stringify(ociProcess))
    return posixSpawn({
      argv: [
        options.path,
        ...globalArguments(options),
        ...['--log', '/proc/self/fd/5', '--log-format', 'json'],
        ...(isRunc(runtime) ? ['--debug'] : []),
        ...['exec', '--process', '/proc/self/fd/4'],
        ...(hasOwnInits(options) ? ['--cgroup', slot.name] : []),
        ...(isRunc(runtime) ? ['--pid-file', slot.mark] : []),
        ...(console === undefined ? [] : ['--console-socket', console.path(6)]),
        id,
      ],
      env: { PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin' },
      fds: [...fds, spec, log, ...(console === undefined ? [] : [console.directoryFd])],
    })
  } finally {
    closeSync(spec)
  }
}

async function exitCodeOf(
  pid: number,
  watcher: ProcessWatcher,
  told: () => number | undefined,
  isDrained: (sinceEndMs: number) => boolean,
): Promise<number> {
  let exitCode: number | undefined
  let endedAt = 0
  const look = setInterval(() => {
    if (exitCode === undefined) {
      exitCode = told()
      if (exitCode === undefined) return
      endedAt = performance.now()
    }
    if (isDrained(performance.now() - endedAt)) killGroup(pid)
  }, LOOK_MS)
  const exit = await watcher.ended(pid)
  clearInterval(look)
  return exitCode ?? exit?.exitCode ?? 255
}

/** From runc's debug log, of the process whose pid it has written: `{"msg":"process exited","pid":82,"status":7}`. */
function exitCodeTeller(pidFile: string, log: number): () => number | undefined {
  let readBytes = 0
  return () => {
    const sizeBytes = fstatSync(log).size
    const pid = sizeBytes === readBytes ? '' : textOf(pidFile)
    if (pid === '') return undefined
    readBytes = sizeBytes
    const said = new RegExp(`"msg":"process exited","pid":${pid},"status":(\\d+)`)
    const status = said.exec(contentOf(log, LOG_LIMIT_BYTES).toString())?.[1]
    return status === undefined ? undefined : Number(status)
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return '' // The container is being removed.
    throw error
  }
}

const complaintIn = (log: number): string =>
  contentOf(log, LOG_LIMIT_BYTES)
    .toString()
    .split('\n')
    .filter((line) => !/"level":"(debug|info|warning)"/.test(line))
    .join('\n')
    .trim()
