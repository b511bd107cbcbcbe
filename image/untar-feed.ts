import type { MessagePort } from 'node:worker_threads'
import type { ToWorker } from './untar-messages.ts'

export type OpenBlob = (signal: AbortSignal) => Promise<AsyncIterable<Uint8Array>>

/** On their way to the threads: so much of all layers together lies in memory between the network and the disk. */
const WINDOW_BYTES = 2 << 20
/** Layers that are being sent. */
let sending = 0
const MESSAGE_BYTES = 256 << 10
/** What is smaller is copied together. */
const SMALLEST_HANDED_OVER_BYTES = 16 << 10

/** Sends a blob to the thread that unpacks it, no faster than that takes it; large chunks go without being copied. */
export class UntarFeed {
  readonly #port: MessagePort
  #onTheirWayBytes = 0
  #isClosed = false
  #wake = (): void => {}

  constructor(port: MessagePort) {
    this.#port = port
  }

  /** To be called for what the thread has taken. */
  readonly taken = (sizeBytes: number): void => {
    this.#onTheirWayBytes -= sizeBytes
    this.#wake()
  }

  /** Ends `send` where it stands. */
  close(): void {
    this.#isClosed = true
    this.#wake()
  }

  async send(open: OpenBlob, signal: AbortSignal): Promise<void> {
    sending += 1
    try {
      for await (const message of messagesOf(await open(signal))) {
        if (!(await this.#post(message))) return
      }
    } finally {
      sending -= 1
    }
    this.#port.postMessage('end' satisfies ToWorker)
  }

  /** Resolves false once it is closed. */
  async #post(message: readonly Uint8Array<ArrayBuffer>[]): Promise<boolean> {
    while (this.#onTheirWayBytes >= WINDOW_BYTES / sending && !this.#isClosed) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      await promise
    }
    if (this.#isClosed) return false
    this.#onTheirWayBytes += message.reduce((sum, { byteLength }) => sum + byteLength, 0)
    this.#port.postMessage(
      message satisfies ToWorker,
      message.map(({ buffer }) => buffer),
    )
    return true
  }
}

/** The same bytes in pieces whose memory is theirs alone, several at a time. */
async function* messagesOf(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<readonly Uint8Array<ArrayBuffer>[]> {
  let message: Uint8Array<ArrayBuffer>[] = []
  let small: Uint8Array[] = []
  let sizeBytes = 0
  const join = (): void => {
    if (small.length > 0) message.push(joined(small))
    small = []
  }
  for await (const chunk of chunks) {
    sizeBytes += chunk.byteLength
    if (isWhole(chunk)) {
      join()
      message.push(chunk)
    } else small.push(chunk)
    if (sizeBytes < MESSAGE_BYTES) continue
    join()
    yield message
    message = []
    sizeBytes = 0
  }
  join()
  if (message.length > 0) yield message
}

const isWhole = (chunk: Uint8Array): chunk is Uint8Array<ArrayBuffer> =>
  chunk.byteLength >= SMALLEST_HANDED_OVER_BYTES &&
  chunk.byteLength === chunk.buffer.byteLength &&
  chunk.buffer instanceof ArrayBuffer

function joined(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(chunks.reduce((sum, { byteLength }) => sum + byteLength, 0))
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.byteLength
  }
  return whole
}
