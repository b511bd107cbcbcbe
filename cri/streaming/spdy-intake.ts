import type { Duplex } from 'node:stream'
import { fairShare } from '#lib/fair-share.ts'

/** Answers that wait for a client which does not read: more than this, and nothing more is read from it. */
const WAITING_REPLIES_LIMIT_BYTES = 64 * 1024

/**
 * Decides whether the socket is read. It pauses while a stream, or all of them together, hold too much that
 * nobody has read, and while too many answers wait: so what a client sends never grows the heap.
 */
export class SpdyIntake {
  readonly #socket: Duplex
  readonly #streamBytes: number
  readonly #totalBytes: number
  readonly #full = new Set<object>()
  #heldBytes = 0
  #waitingBytes = 0
  #isPaused = false
  #waitsForTurn = false
  readonly #hasHadItsShare = fairShare(() => {
    this.#waitsForTurn = false
    this.#update()
  })
  #minds: 'all' | 'replies' | 'nothing' = 'all'

  constructor(socket: Duplex, streamBytes: number, totalBytes: number) {
    this.#socket = socket
    this.#streamBytes = streamBytes
    this.#totalBytes = totalBytes
  }

  /** A stream that held `before` holds `now`. It is full above the limit, until half of that is consumed. */
  hold(stream: object, before: number, now: number): void {
    this.#heldBytes += now - before
    if (now > this.#streamBytes) this.#full.add(stream)
    else if (now <= this.#streamBytes / 2) this.#full.delete(stream)
    this.#update()
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** So much has come from the socket: others on the event loop have their turn, too. */
  received(bytes: number): void {
    this.#waitsForTurn = this.#hasHadItsShare(bytes)
    this.#update()
  }

  /** An answer could only be queued. */
  replyWaits(bytes: number): void {
    this.#waitingBytes += bytes
    this.#update()
  }

  drained(): void {
    this.#waitingBytes = 0
    this.#update()
  }

  /** From now on data is dropped, and only answers are waited for. */
  forgetHeld(): void {
    if (this.#minds === 'all') this.#minds = 'replies'
    this.#update()
  }

  /** From now on everything is dropped, and nothing waited for. */
  drain(): void {
    this.#minds = 'nothing'
    this.#update()
  }

  #update(): void {
    const mustPause = this.#mustPause()
    if (mustPause === this.#isPaused) return
    this.#isPaused = mustPause
    if (mustPause) this.#socket.pause()
    else this.#socket.resume()
  }

  #mustPause(): boolean {
    const isFull = this.#full.size > 0 || this.#heldBytes > this.#totalBytes
    const isFlooded = this.#waitingBytes > WAITING_REPLIES_LIMIT_BYTES
    if (this.#waitsForTurn) return true
    return this.#minds !== 'nothing' && (isFlooded || (isFull && this.#minds === 'all'))
  }
}
