import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { basename, join } from 'node:path'
import { CriError, errnoOf } from '#lib/errors.ts'
import type { ExecRequest, ExecResult } from '#runtime/monitor-port.ts'
import type { Cgroup } from './cgroups.ts'
import { contentOf, killGroup } from './command.ts'
import { memoryFile, pipe } from './libc.ts'
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

/** What a timer of Node holds, three weeks: no exec is expected to take longer. */
const LONGEST_TIMER_MS = 2 ** 31 - 1
/** How long to go on reading after the process has ended, where a child of its own keeps the output open. */
const DRAIN_MS = 1_000

/**
 * Runs a command in a container and gathers its output. Each exec runs in a cgroup of its own below the container's,
 * so that a timeout reaches also what left its session. Those cgroups are used again: on cgroup v1 every removed
 * memory cgroup stays in the kernel until its last page is gone.
 */
export async function execSync(request: ExecRequest, environment: ExecEnvironment): Promise<ExecResult> {
  const { runtime, locks, watcher } = environment
  using held = new DisposableStack()
  const slot = held.use(takeSlot(environment))
  const lock = held.use(locks.hold(request.id))
  const log = held.adopt(memoryFile('log'), closeSync)
  const { pid, stdout, stderr } = spawnExec(request, runtime, slot, { lock: lock.fd, log })
  const readers = [
    gather(stdout, request.outputLimitBytes),
    gather(stderr, request.outputLimitBytes),
  ] as const
  const kill = (): void => {
    slot.cgroup.kill()
    killGroup(pid)
    slot.cgroup.kill() // What the runtime put there before it died.
  }
  let timedOut = false
  const timer = setTimeout(
    () => {
      timedOut = true
      kill()
    },
    Math.min(request.timeoutMs ?? LONGEST_TIMER_MS, LONGEST_TIMER_MS),
  )
  request.signal.addEventListener('abort', kill)
  if (request.signal.aborted) kill()
  const exitCode = await exitCodeOf(pid, watcher, () => {
    const code = isRunc(runtime) ? toldExitCode(slot.mark, log) : undefined
    if (code !== undefined) clearTimeout(timer)
    return code
  })
  clearTimeout(timer)
  request.signal.removeEventListener('abort', kill)
  if (request.signal.aborted) timedOut = true
  const drained = AbortSignal.timeout(timedOut ? 0 : DRAIN_MS)
  const [out, err] = await Promise.all([readers[0].end(drained), readers[1].end(drained)])
  // The runtime complains in its log only when it could not start the command, or lost it.
  const complaint = timedOut || exitCode === 0 ? '' : complaintIn(log)
  if (complaint !== '') {
    const said = runtimeMessage(complaint, exitCode)
    throw new CriError(
      'failed-precondition',
      `container ${request.id}: ${runtime.options.handler} exec: ${said}`,
    )
  }
  return { exitCode, stdout: out, stderr: err, timedOut }
}

const LOG_LIMIT_BYTES = 64 << 10
/** How often runc's log is looked at. */
const LOOK_MS = 100

const isRunc = ({ options }: OciRuntime): boolean => basename(options.path).startsWith('runc')

/**
 * runc copies the output itself, and stays as long as anybody holds it. Once the command has ended by what `told`
 * says, it gets DRAIN_MS for the rest of the output.
 */
async function exitCodeOf(
  pid: number,
  watcher: ProcessWatcher,
  told: () => number | undefined,
): Promise<number> {
  let exitCode: number | undefined
  let drain: NodeJS.Timeout | undefined
  const look = setInterval(() => {
    exitCode = told()
    if (exitCode === undefined) return
    clearInterval(look)
    drain = setTimeout(() => killGroup(pid), DRAIN_MS)
  }, LOOK_MS)
  const exit = await watcher.ended(pid)
  clearInterval(look)
  clearTimeout(drain)
  return exitCode ?? exit?.exitCode ?? 255
}

/** From runc's debug log, of the process whose pid it has written: `{"msg":"process exited","pid":82,"status":7}`. */
function toldExitCode(pidFile: string, log: number): number | undefined {
  const pid = textOf(pidFile)
  if (pid === '') return undefined
  const said = new RegExp(`"msg":"process exited","pid":${pid},"status":(\\d+)`)
  const status = said.exec(contentOf(log, LOG_LIMIT_BYTES).toString())?.[1]
  return status === undefined ? undefined : Number(status)
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

function spawnExec(
  request: ExecRequest,
  runtime: OciRuntime,
  slot: Slot,
  inherited: { readonly lock: number; readonly log: number },
) {
  const { options } = runtime
  using files = new DisposableStack()
  using readers = new DisposableStack()
  const open = (fd: number): number => files.adopt(fd, closeSync)
  const [outRead, outWrite] = pipe()
  const [errRead, errWrite] = pipe()
  for (const fd of [outRead, errRead]) readers.adopt(fd, closeSync)
  const spec = open(memoryFile('process.json'))
  writeFileSync(spec, JSON.stringify(request.ociProcess))
  const nothing = open(openSync('/dev/null', 'r'))
  const pid = posixSpawn({
    argv: [
      options.path,
      ...globalArguments(options),
      ...['--log', '/proc/self/fd/5', '--log-format', 'json'],
      ...(isRunc(runtime) ? ['--debug'] : []),
      ...['exec', '--cgroup', slot.name, '--process', '/proc/self/fd/4'],
      ...(isRunc(runtime) ? ['--pid-file', slot.mark] : []),
      request.id,
    ],
    env: { PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin' },
    fds: [nothing, open(outWrite), open(errWrite), inherited.lock, spec, inherited.log],
  })
  readers.move() // The caller's from here on.
  return { pid, stdout: outRead, stderr: errRead }
}

/** Reads to the end; what is over the limit is read and dropped, so that the writer never blocks. */
function gather(fd: number, limitBytes: number): { readonly end: (signal: AbortSignal) => Promise<Buffer> } {
  const socket = new Socket({ fd, readable: true, writable: false })
  const chunks: Buffer[] = []
  let room = limitBytes
  socket.on('data', (chunk: Buffer) => {
    if (room <= 0) return
    chunks.push(chunk.subarray(0, room))
    room -= chunk.length
  })
  const closed = new Promise<void>((resolve) => socket.once('close', resolve))
  socket.on('error', () => socket.destroy())
  return {
    async end(signal) {
      const giveUp = (): void => void socket.destroy()
      signal.addEventListener('abort', giveUp)
      await closed
      signal.removeEventListener('abort', giveUp)
      return Buffer.concat(chunks)
    },
  }
}

interface Slot extends Disposable {
  readonly name: string
  /** A file while the exec is under way; runc writes the command's pid to it. */
  readonly mark: string
  readonly cgroup: Cgroup
}

const busy = new Set<string>()

/** The first cgroup `exec-N` that no exec uses and in which nothing runs that an earlier one left. */
function takeSlot({ cgroup, marks }: ExecEnvironment): Slot {
  for (let index = 0; ; index += 1) {
    const name = `exec-${index}`
    const mark = join(marks, name)
    const child = cgroup.child(name)
    if (busy.has(mark)) continue
    if (child.processes().length > 0) continue
    busy.add(mark)
    child.create()
    mkdirSync(marks, { recursive: true })
    writeFileSync(mark, '')
    return {
      name,
      mark,
      cgroup: child,
      [Symbol.dispose]() {
        rmSync(mark, { force: true })
        busy.delete(mark)
      },
    }
  }
}

/** After a restart: kills the execs whose caller is gone. Those that had ended may leave what they like running. */
export function killAbandonedExecs(cgroup: Cgroup, marks: string): void {
  for (const name of namesIn(marks)) {
    cgroup.child(name).kill()
    rmSync(join(marks, name), { force: true })
  }
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}
