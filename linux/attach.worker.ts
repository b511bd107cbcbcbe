import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import koffi from 'koffi'
import { describeError } from '#lib/errors.ts'
import { type AttachOrder, type AttachReport, WINDOW_BYTES } from './attach-messages.ts'
import { endSending, receivePacket, sendPacket } from './seqpacket.ts'

/**
 * Sleeps in poll(2) on the connections to all monitors. The main thread rings `doorbell` (an eventfd) after it has
 * posted an order. A connection is the main thread's, which closes it once it was told that it is not used any more.
 */
const libc = koffi.load('libc.so.6')
const poll = libc.func('int poll(void *fds, unsigned long count, int timeout)')
const read = libc.func('long read(int fd, void *buffer, size_t count)')
const POLLIN = 1
const POLLOUT = 4

/** What conmon reads at once is four times this. */
const INPUT_PACKET_BYTES = 8 << 10
/** The first byte of a packet tells its stream. */
const LONGEST_PACKET_BYTES = 1 + (64 << 10)
const RUN_BYTES = 256 << 10
/** After which another connection has its turn. */
const PACKETS_A_TURN = 64

interface Attached {
  readonly token: number
  readonly fd: number
  /** Packets to be sent, none empty: conmon would take it for the end. */
  input: Uint8Array[]
  /** After the input its end is to be sent. */
  endsInput: boolean
  /** The monitor reads no more: input is taken, and dropped. */
  inputClosed: boolean
  /** Output is received and dropped. */
  muted: boolean
  /** How much may yet be reported of it before the main thread has handed on what was. */
  windowBytes: number
}

if (parentPort === null) throw new Error('this file is a worker')
const port = parentPort
const { doorbell } = workerData as { doorbell: number }
const attachments = new Map<number, Attached>() // By token.

/** Packets of one stream that came one after the other, joined; byte 0 is never theirs. */
const run = { stream: 0, sizeBytes: 0, memory: Buffer.alloc(RUN_BYTES + LONGEST_PACKET_BYTES) }

for (let running = true; running; ) {
  const polled = [...attachments.values()]
  const set = Buffer.alloc(8 * (polled.length + 1)) // struct pollfd: fd, events, revents
  set.writeInt32LE(doorbell, 0)
  set.writeInt16LE(POLLIN, 4)
  polled.forEach((attached, index) => {
    const { muted, windowBytes, input } = attached
    const events = (muted || windowBytes > 0 ? POLLIN : 0) | (input.length > 0 ? POLLOUT : 0)
    set.writeInt32LE(events === 0 ? -1 : attached.fd, 8 * (index + 1)) // Else its end would be told all the time.
    set.writeInt16LE(events, 8 * (index + 1) + 4)
  })
  poll(set, polled.length + 1, -1)
  polled.forEach((attached, index) => serve(attached, set.readInt16LE(8 * (index + 1) + 6)))
  if (set.readInt16LE(6) !== 0) running = takeOrders()
}

function serve(attached: Attached, events: number): void {
  try {
    if ((events & POLLOUT) !== 0) sendInput(attached)
    if ((events & ~POLLOUT) !== 0) receiveOutput(attached)
  } catch (thrown) {
    forget(attached, describeError(thrown))
  }
}

function receiveOutput(attached: Attached): void {
  let packets = 0
  let sizeBytes: number | undefined
  do {
    // The stream's byte goes where the last of the run is, which is put back: so the data lie behind the run.
    const last = run.memory[run.sizeBytes] ?? 0
    sizeBytes = receivePacket(attached.fd, run.memory.subarray(run.sizeBytes))
    const stream = run.memory[run.sizeBytes] ?? 0
    run.memory[run.sizeBytes] = last
    if (sizeBytes !== undefined && sizeBytes > 1) append(attached, stream, sizeBytes - 1)
    packets += 1
  } while (sizeBytes !== undefined && sizeBytes > 0 && packets < PACKETS_A_TURN)
  reportRun(attached)
  if (sizeBytes === 0) forget(attached)
}

/** Takes the data behind the run into it, or into a new one where they are of another stream. */
function append(attached: Attached, stream: number, sizeBytes: number): void {
  if (stream !== run.stream) {
    const from = 1 + run.sizeBytes
    reportRun(attached)
    run.memory.copyWithin(1, from, from + sizeBytes)
    run.stream = stream
  }
  run.sizeBytes += sizeBytes
  if (run.sizeBytes > RUN_BYTES) reportRun(attached)
}

function reportRun(attached: Attached): void {
  const { stream, sizeBytes, memory } = run
  run.sizeBytes = 0
  if (sizeBytes === 0 || attached.muted || (stream !== 2 && stream !== 3)) return
  attached.windowBytes -= sizeBytes
  const data = new Uint8Array(memory.subarray(1, 1 + sizeBytes))
  report({ tell: 'output', token: attached.token, stream, data }, [data.buffer])
}

function takeOrders(): boolean {
  if (Number(read(doorbell, Buffer.alloc(8), 8)) !== 8) throw new Error('the doorbell is gone')
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
    const order = next.message as AttachOrder
    if (order.do === 'end') return false
    follow(order)
  }
  return true
}

function follow(order: Exclude<AttachOrder, { do: 'end' }>): void {
  const { token } = order
  if (order.do === 'adopt') {
    const idle = { input: [], endsInput: false, inputClosed: false, muted: false }
    attachments.set(token, { token, fd: order.fd, windowBytes: WINDOW_BYTES, ...idle })
    return
  }
  const attached = attachments.get(token)
  if (attached === undefined) return // It has ended meanwhile.
  switch (order.do) {
    case 'send':
      queueInput(attached, order.input)
      break
    case 'endInput':
      attached.endsInput = true
      endInputWhenSent(attached)
      break
    case 'grant':
      attached.windowBytes = Math.min(WINDOW_BYTES, attached.windowBytes + order.sizeBytes)
      break
    case 'mute':
      attached.muted = true
      break
    case 'unmute':
      attached.muted = false
      attached.windowBytes = WINDOW_BYTES
      break
    case 'leave':
      forget(attached)
      break
  }
}

function queueInput(attached: Attached, input: Uint8Array): void {
  if (attached.inputClosed) reportTaken(attached, input.length)
  else addPackets(attached, input)
}

/** As long ones as may be: many short pieces take no more room than one long one. */
function addPackets(attached: Attached, input: Uint8Array): void {
  let rest = input
  const last = attached.input.at(-1)
  if (last !== undefined && last.length < INPUT_PACKET_BYTES) {
    const fitting = rest.subarray(0, INPUT_PACKET_BYTES - last.length)
    attached.input[attached.input.length - 1] = Buffer.concat([last, fitting])
    rest = rest.subarray(fitting.length)
  }
  for (let start = 0; start < rest.length; start += INPUT_PACKET_BYTES) {
    attached.input.push(rest.subarray(start, start + INPUT_PACKET_BYTES))
  }
}

function sendInput(attached: Attached): void {
  let takenBytes = 0
  for (let packet = attached.input[0]; packet !== undefined; packet = attached.input[0]) {
    const outcome = sendPacket(attached.fd, packet)
    if (outcome === 'full') break
    if (outcome === 'closed') {
      attached.inputClosed = true
      takenBytes += attached.input.reduce((sum, { length }) => sum + length, 0)
      attached.input = []
      break
    }
    takenBytes += packet.length
    attached.input.shift()
  }
  reportTaken(attached, takenBytes)
  endInputWhenSent(attached)
}

function endInputWhenSent({ fd, input, endsInput }: Attached): void {
  if (endsInput && input.length === 0) endSending(fd)
}

function reportTaken({ token }: Attached, sizeBytes: number): void {
  if (sizeBytes > 0) report({ tell: 'taken', token, sizeBytes })
}

function forget({ token }: Attached, failure?: string): void {
  run.sizeBytes = 0
  attachments.delete(token)
  report({ tell: 'ended', token, failure })
}

function report(message: AttachReport, transferred: readonly ArrayBuffer[] = []): void {
  port.postMessage(message, [...transferred])
}
