import type { BlobFetch, Span } from './registry-blob-fetch.ts'
import type { Batch } from './registry-body.ts'

/** What is larger than two of them is asked for in parts. */
export const PART_BYTES = 4 << 20

/** A part on its way before it is its turn. */
interface Ahead {
  readonly bytes: () => AsyncGenerator<Batch>
}

/**
 * The parts of a blob behind the one that is read. Of the next one only the answer is awaited, its bytes lie with the
 * kernel and the server; where it is worthwhile, each that gets a slot is fetched into memory.
 */
export class PartsAhead implements Disposable {
  /** Whether the network is what is waited for. */
  isWorthwhile = false
  readonly #fetch: BlobFetch
  readonly #giveUp = new AbortController()
  readonly #signal: AbortSignal
  readonly #slots = new Set<Disposable>()
  readonly #queue: Ahead[] = []
  #from: number

  /** `from` is the first byte of the first part. */
  constructor(fetch: BlobFetch, from: number, signal: AbortSignal) {
    this.#fetch = fetch
    this.#from = from
    this.#signal = AbortSignal.any([signal, this.#giveUp.signal])
  }

  /** Asks for what may be asked for now. */
  fill(): void {
    const { sizeBytes, takeSlot } = this.#fetch.request
    while (this.#from < sizeBytes) {
      const slot = this.isWorthwhile ? takeSlot() : undefined
      if (slot === undefined && this.#queue.length > 0) return
      const span = { from: this.#from, to: Math.min(sizeBytes, this.#from + PART_BYTES) }
      this.#from = span.to
      this.#queue.push(slot === undefined ? this.#opened(span) : this.#buffered(span, slot))
      if (slot === undefined) return
    }
  }

  /** The next part; undefined after the last. */
  next(): AsyncGenerator<Batch> | undefined {
    this.fill()
    return this.#queue.shift()?.bytes()
  }

  [Symbol.dispose](): void {
    this.#giveUp.abort()
    for (const slot of this.#slots) slot[Symbol.dispose]()
  }

  #opened(span: Span): Ahead {
    const fetch = this.#fetch
    const opening = fetch.request.open(span, fetch.givenUp, this.#signal)
    opening.catch(() => {}) // It is thrown when it is its turn.
    const signal = this.#signal
    return {
      async *bytes() {
        yield* fetch.read(span, signal, await opening)
      },
    }
  }

  /** The slot is held until all of the part is taken. */
  #buffered(span: Span, slot: Disposable): Ahead {
    this.#slots.add(slot)
    const batches: Batch[] = []
    let wake = (): void => {}
    let isDone = false
    const receive = async (): Promise<void> => {
      try {
        for await (const batch of this.#fetch.read(span, this.#signal)) {
          batches.push(batch)
          wake()
        }
      } finally {
        isDone = true
        wake()
      }
    }
    const received = receive()
    received.catch(() => {}) // It is thrown when it is its turn.
    const free = (): void => {
      this.#slots.delete(slot)
      slot[Symbol.dispose]()
    }
    return {
      async *bytes() {
        while (!isDone || batches.length > 0) {
          const batch = batches.shift()
          if (batch !== undefined) yield batch
          else {
            const { promise, resolve } = Promise.withResolvers<void>()
            wake = resolve
            await promise
          }
        }
        free()
        await received
      },
    }
  }
}
