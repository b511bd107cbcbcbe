import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import type { ExecRequest, ExecResult } from '#runtime/monitor-port.ts'
import { type ExecEnvironment, type ExecProcess, startExec } from './exec-process.ts'
import { emptyPipe, pipe } from './libc.ts'

/** What a timer of Node holds, three weeks: no exec is expected to take longer. */
const LONGEST_TIMER_MS = 2 ** 31 - 1
/** How long to go on reading after the process has ended, where a child of its own keeps the output open. */
const DRAIN_MS = 1_000

/** Runs a command in a container and gathers its output. */
export async function execSync(request: ExecRequest, environment: ExecEnvironment): Promise<ExecResult> {
  const { exec, stdout, stderr } = start(request, environment)
  using running = exec
  const readers = [
    gather(stdout, request.outputLimitBytes),
    gather(stderr, request.outputLimitBytes),
  ] as const
  let timedOut = false
  const timer = setTimeout(
    () => {
      timedOut = true
      running.kill()
    },
    Math.min(request.timeoutMs ?? LONGEST_TIMER_MS, LONGEST_TIMER_MS),
  )
  request.signal.addEventListener('abort', running.kill)
  if (request.signal.aborted) running.kill()
  const exitCode = await running.ended((sinceEndMs) => {
    clearTimeout(timer)
    return sinceEndMs >= DRAIN_MS
  })
  clearTimeout(timer)
  request.signal.removeEventListener('abort', running.kill)
  if (request.signal.aborted) timedOut = true
  const drained = AbortSignal.timeout(timedOut ? 0 : DRAIN_MS)
  const [out, err] = await Promise.all([readers[0].end(drained), readers[1].end(drained)])
  if (!timedOut && exitCode !== 0) running.refuseFailure()
  return { exitCode, stdout: out, stderr: err, timedOut }
}

/** The command with nothing to read, and the reading ends of what it writes. */
function start(request: ExecRequest, environment: ExecEnvironment) {
  using files = new DisposableStack()
  using readers = new DisposableStack()
  const open = (fd: number): number => files.adopt(fd, closeSync)
  const [stdout, outWrite] = pipe()
  const [stderr, errWrite] = pipe()
  for (const fd of [stdout, stderr]) readers.adopt(fd, closeSync)
  const nothing = open(emptyPipe())
  const exec: ExecProcess = startExec(request, environment, [nothing, open(outWrite), open(errWrite)])
  readers.move() // The caller's from here on.
  return { exec, stdout, stderr }
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
