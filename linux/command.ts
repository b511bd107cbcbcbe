import { closeSync, fstatSync, readSync, writeSync } from 'node:fs'
import { CriError } from '#lib/errors.ts'
import { memoryFile } from './libc.ts'
import { posixSpawn } from './posix-spawn.ts'
import type { Exit, ProcessWatcher } from './process-watcher.ts'

export interface Command {
  /** The program's path, then its arguments. */
  readonly argv: readonly [string, ...string[]]
  readonly env?: { readonly [name: string]: string }
  readonly cwd?: string
  readonly stdin?: string | Buffer
  /** After this time the command's process group is killed and `run` throws deadline-exceeded. */
  readonly timeoutMs: number
  /** When it aborts, the group is killed and `run` throws cancelled. */
  readonly signal?: AbortSignal
  /** A command that has written much more than this is killed, and `run` throws resource-exhausted. */
  readonly outputLimitBytes?: number
  /** Open files that it holds as fd 3, 4, … as long as it or a child of it lives: see linux/object-lock.ts. */
  readonly heldFds?: readonly number[]
}

export interface Finished extends Exit {
  readonly stdout: Buffer
  /** Trimmed, for messages; the first 64 KiB. */
  readonly stderr: string
}

const STDOUT_LIMIT_BYTES = 16 << 20
const STDERR_LIMIT_BYTES = 64 << 10
const OUTPUT_LOOK_MS = 50
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/**
 * Runs a program to its end. Its stdio are files in memory, so that a grandchild that
 * keeps them open holds nobody up, and the daemon reads nothing while it runs. Never /dev/null: see `emptyPipe`.
 */
export async function runCommand(watcher: ProcessWatcher, command: Command): Promise<Finished> {
  const { signal } = command
  signal?.throwIfAborted()
  using files = new DisposableStack()
  const open = (fd: number): number => files.adopt(fd, closeSync)
  const stdin = open(fileOf(command.stdin ?? ''))
  const stdout = open(memoryFile('stdout'))
  const stderr = open(memoryFile('stderr'))

  const pid = posixSpawn({
    argv: command.argv,
    env: command.env ?? { PATH: process.env['PATH'] ?? PATH },
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    fds: [stdin, stdout, stderr, ...(command.heldFds ?? [])],
  })
  let timedOut = false
  const timer = setTimeout(() => {
    timedOut = true
    killGroup(pid)
  }, command.timeoutMs)
  const abort = (): void => killGroup(pid)
  signal?.addEventListener('abort', abort)
  using limit = limitOutput(command.outputLimitBytes, [stdout, stderr], pid)
  const exit = (await watcher.ended(pid)) ?? { exitCode: 255 }
  clearTimeout(timer)
  signal?.removeEventListener('abort', abort)
  if (signal?.aborted) throw new CriError('cancelled', `${command.argv.join(' ')} was given up`)
  if (limit.isExceeded()) {
    throw new CriError('resource-exhausted', `${command.argv.join(' ')} wrote without end and was killed`)
  }
  if (timedOut) {
    const stderrText = contentOf(stderr, STDERR_LIMIT_BYTES).toString().trim()
    throw new CriError(
      'deadline-exceeded',
      `${command.argv.join(' ')} did not end within ${command.timeoutMs / 1000} s and was killed${stderrText && `: ${stderrText}`}`,
    )
  }
  return {
    ...exit,
    stdout: contentOf(stdout, STDOUT_LIMIT_BYTES),
    stderr: contentOf(stderr, STDERR_LIMIT_BYTES).toString().trim(),
  }
}

/** Files in memory are the daemon's memory: looked at from time to time, as nobody reads them meanwhile. */
function limitOutput(limitBytes: number | undefined, fds: readonly number[], pid: number) {
  let exceeded = false
  const look = () => {
    if (fds.reduce((sum, fd) => sum + fstatSync(fd).size, 0) <= (limitBytes ?? 0)) return
    exceeded = true
    killGroup(pid)
  }
  const timer = limitBytes === undefined ? undefined : setInterval(look, OUTPUT_LOOK_MS)
  return { isExceeded: () => exceeded, [Symbol.dispose]: () => clearInterval(timer) }
}

/** A spawned program leads a process group of its own: see posix-spawn.ts. */
export function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

function fileOf(content: string | Buffer): number {
  const fd = memoryFile('stdin')
  const bytes = Buffer.from(content)
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, at)
  return fd // Written by position: it stands at its beginning.
}

/** The first bytes of a file in memory, wherever its position is. */
export function contentOf(fd: number, limitBytes: number): Buffer {
  const content = Buffer.alloc(Math.min(fstatSync(fd).size, limitBytes))
  return content.subarray(0, readSync(fd, content, 0, content.length, 0))
}
