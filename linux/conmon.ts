import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { CriError, errnoOf } from '#lib/errors.ts'
import type { MonitorRequest } from '#runtime/monitor-port.ts'
import { contentOf } from './command.ts'
import { createCommand } from './exit-waiter.ts'
import { memoryFile, pipe } from './libc.ts'
import { type OciRuntimeOptions, refusal } from './oci-runtime.ts'
import { posixSpawn } from './posix-spawn.ts'

/** Where a container's monitor keeps what it needs; all of it lies under the state directory. */
export interface MonitorPaths {
  /** Holds `bundle/`, the pid file and the OOM mark. */
  readonly home: (id: string) => string
  readonly exits: string
}

const COMPLAINTS_LIMIT_BYTES = 4 << 10

export const bundleOf = (paths: MonitorPaths, id: string): string => join(paths.home(id), 'bundle')

/**
 * Starts conmon, which creates the container and then stays as its monitor.
 *
 *   we: spawn conmon ─ put it into the monitors' cgroup ─ release its start pipe ─ wait on its sync pipe
 *   conmon:                                              OCI runtime `create` ─ {"data": PID} or {"data": -1, "message"}
 */
export async function startConmon(
  conmonPath: string,
  runtime: OciRuntimeOptions,
  paths: MonitorPaths,
  request: MonitorRequest,
  onSpawned: (pid: number) => void,
): Promise<number> {
  const [syncRead, syncWrite] = pipe()
  const [startRead, startWrite] = pipe()
  const nothing = openSync('/dev/null', 'r+')
  using files = new DisposableStack()
  // It has its standard error from us until it stays as a monitor.
  const complaints = files.adopt(memoryFile('stderr'), closeSync)
  using sync = closing(new Socket({ fd: syncRead, readable: true, writable: false }))
  try {
    const pid = posixSpawn({
      argv: [conmonPath, ...conmonArguments(runtime, paths, request)],
      env: {
        PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin',
        _OCI_SYNCPIPE: '3',
        _OCI_STARTPIPE: '4',
      },
      cwd: paths.home(request.id), // It leaves its OOM mark there.
      fds: [nothing, nothing, complaints, syncWrite, startRead],
    })
    onSpawned(pid)
  } finally {
    for (const fd of [syncWrite, startRead, nothing]) closeSync(fd)
    release(startWrite)
  }
  const answer = await readAnswer(sync.socket, request.id, runtime)
  if (answer !== '') return pidFrom(answer, request.id, runtime.handler)
  throw endedEarly(contentOf(complaints, COMPLAINTS_LIMIT_BYTES).toString().trim(), request, conmonPath)
}

/** `said`: on its standard error, as `[conmon:e]: Failed to open log file No such file or directory`. */
function endedEarly(said: string, { id, logFile }: MonitorRequest, conmonPath: string): CriError {
  const what = `container ${id}: its monitor ended without an answer`
  if (/log file/i.test(said)) {
    const remedy = `its log is ${logFile}: that must be a file, or none yet, in a directory that there is`
    return new CriError('failed-precondition', `${what}: ${said}: ${remedy}`)
  }
  const words = said === '' ? '' : `: ${said}`
  return new CriError('internal', `${what}${words}: look whether ${conmonPath} runs on this host`)
}

const closing = (socket: Socket) => ({ socket, [Symbol.dispose]: () => void socket.destroy() })

function release(startPipe: number): void {
  try {
    writeSync(startPipe, '\0')
  } catch (error) {
    if (errnoOf(error) !== 'EPIPE') throw error // It has ended already: its answer tells.
  } finally {
    closeSync(startPipe)
  }
}

function conmonArguments(
  runtime: OciRuntimeOptions,
  paths: MonitorPaths,
  request: MonitorRequest,
): readonly string[] {
  const { id, logFile, tty, stdin, stdinOnce, restoreFrom } = request
  const [program, ...runtimeArguments] = createCommand(runtime, request)
  return [
    ...['--api-version', '1', '--sync', '--no-sync-log', '--full-attach'],
    ...['--cid', id, '--cuuid', id, '--name', id],
    ...['--runtime', program, ...runtimeArguments.flatMap(asRuntimeArgument)],
    ...['--bundle', bundleOf(paths, id), '--persist-dir', paths.home(id), '--exit-dir', paths.exits],
    ...['--container-pidfile', join(paths.home(id), 'pid')],
    ...['--log-path', logFile === '' ? 'null:' : `k8s-file:${logFile}`],
    ...(restoreFrom === undefined ? [] : ['--restore', restoreFrom]),
    ...(tty ? ['--terminal'] : []),
    ...(stdin ? ['--stdin'] : []),
    ...(stdin && !stdinOnce ? ['--leave-stdin-open'] : []),
  ]
}

const asRuntimeArgument = (argument: string): readonly string[] => ['--runtime-arg', argument]

/** The one line of the sync pipe; conmon ends it by closing when it dies. */
function readAnswer(
  sync: Socket,
  id: string,
  { handler, createTimeoutMs }: OciRuntimeOptions,
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let text = ''
  const timer = setTimeout(() => {
    reject(
      new CriError(
        'deadline-exceeded',
        `container ${id}: ${handler} did not create it within ${createTimeoutMs / 1000} s: look what it waits for, ` +
          `or raise runtime.handlers.${handler}.create_timeout`,
      ),
    )
    sync.destroy()
  }, createTimeoutMs)
  sync.setEncoding('utf8')
  sync.on('data', (chunk: string) => {
    text += chunk
    if (text.includes('\n')) sync.destroy()
  })
  sync.on('error', reject)
  sync.on('close', () => {
    clearTimeout(timer)
    resolve(text)
  })
  return promise
}

function pidFrom(answer: string, id: string, handler: string): number {
  const { data, message = '' } = parseAnswer(answer)
  if (data !== undefined && data > 0) return data
  throw refusal(`container ${id}: ${handler} create`, message, -(data ?? 1))
}

function parseAnswer(answer: string): { readonly data?: number; readonly message?: string } {
  try {
    return JSON.parse(answer) as { data: number; message?: string }
  } catch {
    return { message: answer }
  }
}

/** Tells conmon to close its log and open it anew under its old name (its control pipe's message 2). */
export function requestLogReopen(paths: MonitorPaths, id: string): void {
  writeFileSync(join(bundleOf(paths, id), 'ctl'), '2 0 0\n', { flag: 'r+' })
}
