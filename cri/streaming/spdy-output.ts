import type { Duplex } from 'node:stream'
import { encodeDataHead } from './spdy-encode.ts'

/** The sending half of a connection: frames in the order they are sent, and turns for who waits. */
export class SpdyOutput {
  readonly #socket: Duplex
  readonly #onActivity: () => void
  readonly #waiting: (() => void)[] = []
  #isEnded = false

  constructor(socket: Duplex, onActivity: () => void) {
    this.#socket = socket
    this.#onActivity = onActivity
    socket.on('drain', () => this.#drain())
  }

  /** Answers how many of its bytes could only be queued. */
  sendControl(frame: Buffer): number {
    if (this.#isEnded || !this.#socket.writable) return 0
    this.#onActivity()
    return this.#socket.write(frame) ? 0 : frame.length
  }

  /** False: the socket has enough, see `whenDrained`. */
  sendData(id: number, chunk: Buffer, fin: boolean): boolean {
    if (this.#isEnded || !this.#socket.writable) return true
    this.#onActivity()
    this.#socket.cork()
    this.#socket.write(encodeDataHead(id, chunk.length, fin))
    if (chunk.length > 0) this.#socket.write(chunk)
    this.#socket.uncork()
    return !this.#socket.writableNeedDrain
  }

  /** Calls in the order of asking, as long as there is room: who sends then asks again, behind the others. */
  whenDrained(callback: () => void): void {
    this.#waiting.push(callback)
  }

  /** What is sent in `action` goes to the socket at once. */
  together(action: () => void): void {
    this.#socket.cork()
    try {
      action()
    } finally {
      this.#socket.uncork()
    }
  }

  /** Sends a last frame; calls back when everything is with the kernel. */
  end(last: Buffer, callback: () => void): void {
    if (this.#isEnded) return
    this.#isEnded = true
    if (this.#socket.writable) this.#socket.end(last, callback)
  }

  #drain(): void {
    this.#onActivity()
    while (!this.#socket.writableNeedDrain) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      next()
    }
  }
}
