import { randomUUID } from 'node:crypto'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { ReadStream } from 'node:tty'
import { type Passing, passOn } from '#lib/pass-on.ts'
import type { CommandStreams, StreamedExecRequest, TerminalSize } from '#runtime/monitor-port.ts'
import { openConsoleSocket } from './console-socket.ts'
import { type ExecEnvironment, handsOverTerminal, startExec } from './exec-process.ts'
import type { ExecSession } from './exec-streamed.ts'
import { makeRaw, openTerminal, setTerminalSize, typingAt } from './terminal.ts'

/** Starts a command with a terminal of its own on a client's streams. */
export function startOnTerminal(request: StreamedExecRequest, environment: ExecEnvironment): ExecSession {
  const start = handsOverTerminal(environment.runtime) ? startOnTheirs : startOnOurs
  return start(request, environment)
}

/** On a terminal of ours, from and to which the runtime passes bytes of the one that it makes in the container. */
function startOnOurs(request: StreamedExecRequest, environment: ExecEnvironment): ExecSession {
  using files = new DisposableStack()
  const { controller, peer } = openTerminal()
  files.adopt(peer, closeSync)
  using ours = new DisposableStack()
  ours.adopt(controller, closeSync)
  makeRaw(peer) // What is typed before the runtime has done so is echoed by the command's own terminal alone.
  // It is not the runtime's controlling terminal: nobody else tells it.
  const ends = terminalEnds(request.streams, () => exec.tellResize())
  const exec = startExec(ends.sized(request), environment, [peer, peer, peer])
  ours.move() // A stream's from here on.
  ends.open(controller)
  return { exec, outputs: ends.outputs, opened: Promise.resolve(), stop: ends.stop }
}

/** On the terminal in the container itself, which the runtime hands over. */
function startOnTheirs(request: StreamedExecRequest, environment: ExecEnvironment): ExecSession {
  using files = new DisposableStack()
  mkdirSync(environment.marks, { recursive: true })
  const socket = files.use(openConsoleSocket(environment.marks, `console-${randomUUID()}`))
  const ends = terminalEnds(request.streams, () => {})
  const nothing = openSync('/dev/null', 'r+')
  files.adopt(nothing, closeSync)
  const exec = startExec(ends.sized(request), environment, [nothing, nothing, nothing], socket)
  const held = files.move()
  const open = async (): Promise<void> => {
    using _held = held
    const controller = await socket.receive(() => !exec.runs())
    if (controller !== undefined) ends.open(controller)
  }
  return { exec, outputs: ends.outputs, opened: open(), stop: ends.stop }
}

/** A client's streams, to be joined to a terminal once there is one. */
function terminalEnds({ stdin, stdout, onResize }: CommandStreams, resized: () => void) {
  const outputs: Passing[] = []
  let terminal: ReadStream | undefined
  let controller: number | undefined
  let isStopped = false
  let size: TerminalSize | undefined
  const resize = (): void => {
    if (controller === undefined || size === undefined) return
    setTerminalSize(controller, size)
    resized()
  }
  onResize((now) => {
    size = now
    resize()
  })
  return {
    outputs,
    /** With the size that is known already, which a runtime may set before the command begins. */
    sized({ id, ociProcess }: StreamedExecRequest) {
      const consoleSize = size && { width: size.columns, height: size.rows }
      return { id, ociProcess: consoleSize === undefined ? ociProcess : { ...ociProcess, consoleSize } }
    },
    /** `fd` is its own from here on. */
    open(fd: number): void {
      if (isStopped) {
        closeSync(fd)
        return
      }
      controller = fd
      terminal = new ReadStream(fd)
      terminal.once('close', () => (controller = undefined))
      outputs.push(passOn(terminal, stdout))
      terminal.once('data', resize) // What the runtime was told while it started may have been lost.
      if (stdin !== undefined) {
        const typing = typingAt(fd)
        terminal.once('close', () => typing.destroy())
        passOn(stdin, typing)
      }
      resize()
    },
    stop(): void {
      isStopped = true
      terminal?.destroy()
    },
  }
}
