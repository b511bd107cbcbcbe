import { closeSync, openSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { ReadStream } from 'node:tty'
import { CriError } from '#lib/errors.ts'
import type { CommandStreams, StreamedExecRequest, TerminalSize } from '#runtime/monitor-port.ts'
import { type ExecEnvironment, type ExecProcess, startExec } from './exec-process.ts'
import { pipe } from './libc.ts'
import { type OutputPump, pumpOutput } from './output-pump.ts'
import { openTerminal, setTerminalSize } from './terminal.ts'

/** After the command's end, how long its output may pause where a child of its own holds it open. */
const DRAIN_MS = 1_000
const LOOK_MS = 100

/** Runs a command in a container on a client's streams, with a terminal of its own if it asks for one. */
export async function execStreamed(
  request: StreamedExecRequest,
  environment: ExecEnvironment,
): Promise<number> {
  const { id, streams, signal } = request
  refuseAborted(id, signal)
  const { terminal = false } = request.ociProcess as { readonly terminal?: boolean }
  const session = (terminal ? startOnTerminal : startOnPipes)(request, environment, streams)
  using exec = session.exec
  const abort = (): void => {
    exec.kill()
    session.stop()
  }
  signal.addEventListener('abort', abort)
  try {
    if (signal.aborted) abort()
    const drained = (): boolean => session.outputs.every((output) => output.idleMs() >= DRAIN_MS)
    const exitCode = await exec.ended((sinceEndMs) => sinceEndMs >= DRAIN_MS && drained())
    await allRead(session.outputs, signal)
    refuseAborted(id, signal)
    if (exitCode !== 0) exec.refuseFailure()
    return exitCode
  } finally {
    signal.removeEventListener('abort', abort)
    session.stop()
  }
}

function refuseAborted(id: string, signal: AbortSignal): void {
  if (!signal.aborted) return
  throw new CriError('cancelled', `container ${id}: the client of the command has gone, and it was killed`)
}

interface Session {
  readonly exec: ExecProcess
  readonly outputs: readonly OutputPump[]
  /** Lets go of the client's streams, and of what the command reads and writes. */
  stop(): void
}

/** To the end of each, or until one that a child holds open pauses for long. */
async function allRead(outputs: readonly OutputPump[], signal: AbortSignal): Promise<void> {
  const ended = Promise.all(outputs.map((output) => output.ended)).then(() => true)
  while (!signal.aborted && !(await Promise.race([ended, sleep(LOOK_MS, false)]))) {
    for (const output of outputs) if (output.idleMs() >= DRAIN_MS) output.stop()
  }
}

function startOnPipes(
  request: StreamedExecRequest,
  environment: ExecEnvironment,
  { stdin, stdout, stderr }: CommandStreams,
): Session {
  using files = new DisposableStack()
  using ours = new DisposableStack()
  const theirs = (fd: number): number => files.adopt(fd, closeSync)
  const nothing = theirs(openSync('/dev/null', 'r+'))
  const input = stdin === undefined ? undefined : pipe()
  const outputs = [stdout, stderr].map((target) => {
    const ends = target === undefined ? undefined : pipe()
    if (ends !== undefined) ours.adopt(ends[0], closeSync)
    return { target, read: ends?.[0], write: ends === undefined ? nothing : theirs(ends[1]) }
  })
  if (input !== undefined) ours.adopt(input[1], closeSync)
  const [out, err] = outputs.map(({ write }) => write)
  const read = input === undefined ? nothing : theirs(input[0])
  const exec = startExec(request, environment, [read, out ?? nothing, err ?? nothing])
  ours.move() // Sockets own them from here on.
  const pumps = outputs.flatMap(({ target, read: fd }) =>
    fd === undefined ? [] : [pumpOutput(new Socket({ fd, readable: true, writable: false }), target)],
  )
  const writer =
    input === undefined ? undefined : new Socket({ fd: input[1], readable: false, writable: true })
  if (stdin !== undefined && writer !== undefined) feed(stdin, writer)
  return {
    exec,
    outputs: pumps,
    stop() {
      for (const pump of pumps) pump.stop()
      writer?.destroy()
    },
  }
}

function startOnTerminal(
  request: StreamedExecRequest,
  environment: ExecEnvironment,
  { stdin, stdout, onResize }: CommandStreams,
): Session {
  using files = new DisposableStack()
  const { controller, peer } = openTerminal()
  files.adopt(peer, closeSync)
  using ours = new DisposableStack()
  ours.adopt(controller, closeSync)
  let isOpen = true
  ours.defer(() => (isOpen = false))
  let exec: ExecProcess | undefined
  let size: TerminalSize | undefined
  const resize = (): void => {
    if (!isOpen || size === undefined) return
    setTerminalSize(controller, size)
    exec?.resize(size)
  }
  onResize((now) => {
    size = now
    resize()
  })
  exec = startExec(request, environment, [peer, peer, peer])
  ours.move() // The stream owns it from here on.
  const terminal = new ReadStream(controller)
  terminal.once('close', () => (isOpen = false))
  const pump = pumpOutput(terminal, stdout)
  terminal.once('data', resize) // What came while the runtime started may have been lost.
  if (stdin !== undefined) feed(stdin, terminal, { end: false })
  return { exec, outputs: [pump], stop: () => void terminal.destroy() }
}

/** A command that reads no more makes what the client still sends be dropped: other streams wait behind it. */
function feed(stdin: Readable, into: Writable, options: { readonly end?: boolean } = {}): void {
  into.on('error', () => into.destroy())
  into.on('close', () => {
    stdin.unpipe(into)
    stdin.resume()
  })
  stdin.pipe(into, options)
}
