import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { CriError } from '#lib/errors.ts'
import { type Passing, passOn } from '#lib/pass-on.ts'
import type { CommandStreams, StreamedExecRequest } from '#runtime/monitor-port.ts'
import { type ExecEnvironment, type ExecProcess, startExec } from './exec-process.ts'
import { startOnTerminal } from './exec-terminal.ts'
import { emptyPipe, pipe } from './libc.ts'

/** After the command's end, how long its output may pause where a child of its own holds it open. */
const DRAIN_MS = 1_000
const LOOK_MS = 100

/** Runs a command in a container on a client's streams, with a terminal of its own if it asks for one. */
export async function execStreamed(
  request: StreamedExecRequest,
  environment: ExecEnvironment,
): Promise<number> {
  const { id, signal } = request
  refuseAborted(id, signal)
  const { terminal = false } = request.ociProcess as { readonly terminal?: boolean }
  const session = (terminal ? startOnTerminal : startOnPipes)(request, environment)
  using exec = session.exec
  const abort = (): void => {
    exec.kill()
    session.stop()
  }
  signal.addEventListener('abort', abort)
  try {
    if (signal.aborted) abort()
    const drained = (): boolean => session.outputs.every((output) => output.idleMs() >= DRAIN_MS)
    const ended = exec.ended((sinceEndMs) => sinceEndMs >= DRAIN_MS && drained())
    const [exitCode] = await Promise.all([ended, session.opened])
    await allRead(session.outputs, signal)
    refuseAborted(id, signal)
    if (exitCode !== 0) exec.refuseFailure()
    return exitCode
  } catch (failure) {
    if (exec.runs()) exec.kill()
    throw failure
  } finally {
    signal.removeEventListener('abort', abort)
    session.stop()
  }
}

function refuseAborted(id: string, signal: AbortSignal): void {
  if (!signal.aborted) return
  throw new CriError('cancelled', `container ${id}: the client of the command has gone, and it was killed`)
}

/** A command that is joined to its client's streams. */
export interface ExecSession {
  readonly exec: ExecProcess
  /** All there are once `opened` has resolved. */
  readonly outputs: readonly Passing[]
  readonly opened: Promise<void>
  /** Lets go of the client's streams, and of what the command reads and writes. */
  stop(): void
}

/** To the end of each, or until one that a child holds open pauses for long. */
async function allRead(outputs: readonly Passing[], signal: AbortSignal): Promise<void> {
  const ended = Promise.all(outputs.map((output) => output.ended)).then(() => true)
  while (!signal.aborted && !(await Promise.race([ended, sleep(LOOK_MS, false)]))) {
    for (const output of outputs) if (output.idleMs() >= DRAIN_MS) output.stop()
  }
}

function startOnPipes(request: StreamedExecRequest, environment: ExecEnvironment): ExecSession {
  const { stdin, stdout, stderr }: CommandStreams = request.streams
  using files = new DisposableStack()
  using ours = new DisposableStack()
  const theirs = (fd: number): number => files.adopt(fd, closeSync)
  const input = stdin === undefined ? undefined : pipe()
  const output = (target: Writable = discarding()) => {
    const [read, write] = pipe()
    return { target, read: ours.adopt(read, closeSync), write: theirs(write) }
  }
  const [out, err] = [output(stdout), output(stderr)] as const
  if (input !== undefined) ours.adopt(input[1], closeSync)
  const read = theirs(input === undefined ? emptyPipe() : input[0])
  const exec = startExec(request, environment, [read, out.write, err.write])
  ours.move() // Sockets own them from here on.
  const pumps = [out, err].map(({ target, read: fd }) =>
    passOn(new Socket({ fd, readable: true, writable: false }), target),
  )
  const writer =
    input === undefined ? undefined : new Socket({ fd: input[1], readable: false, writable: true })
  if (stdin !== undefined && writer !== undefined) {
    passOn(stdin, writer, { end: true })
    stdin.once('close', () => writer.end()) // A client's reset of it is an end, too.
  }
  return {
    exec,
    outputs: pumps,
    opened: Promise.resolve(),
    stop() {
      for (const pump of pumps) pump.stop()
      writer?.destroy()
    },
  }
}

/** For output that nobody asked for. */
const discarding = (): Writable => new Writable({ write: (_chunk, _encoding, done) => done() })
