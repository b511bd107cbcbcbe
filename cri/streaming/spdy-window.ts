import { SpdyError } from './spdy-error.ts'

export const INITIAL_WINDOW_BYTES = 64 * 1024
export const WINDOW_LIMIT_BYTES = 0x7fff_ffff

/** What the peer lets us send. It may be negative: peers that never said they count are sent more. */
export class SendWindow {
  #bytes: number

  constructor(bytes: number) {
    this.#bytes = bytes
  }

  get bytes(): number {
    return this.#bytes
  }

  take(bytes: number): void {
    this.#bytes -= bytes
  }

  grow(deltaBytes: number): void {
    this.#bytes += deltaBytes
    if (this.#bytes > WINDOW_LIMIT_BYTES) throw new SpdyError('a flow control window is over 2 GiB')
  }
}

/** What we let the peer send. */
export class ReceiveWindow {
  #leftBytes = INITIAL_WINDOW_BYTES
  #owedBytes = 0

  /** Answers whether the peer kept to the window. */
  receive(bytes: number): boolean {
    this.#leftBytes -= bytes
    return this.#leftBytes >= 0
  }

  /** Answers by how much to update the window now: by nothing, until half of it was consumed. */
  consume(bytes: number): number {
    this.#owedBytes += bytes
    if (this.#owedBytes < INITIAL_WINDOW_BYTES / 2) return 0
    const granted = this.#owedBytes
    this.#owedBytes = 0
    this.#leftBytes += granted
    return granted
  }
}
