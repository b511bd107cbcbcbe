import { PART_BYTES, PartsAhead } from './registry-blob-ahead.ts'
import { BlobFetch, type BlobRequest } from './registry-blob-fetch.ts'
import { type Batch, sizeOf } from './registry-body.ts'

/**
 * A blob's bytes, once each and in order, however often a connection breaks off. A big one comes in parts: the next
 * is asked for while one comes, and where the network is slower than who takes the bytes several come at once.
 * Throws what `open` throws when nobody is left.
 */
export async function* readBlob(request: BlobRequest, signal: AbortSignal): AsyncGenerator<Batch> {
  const { sizeBytes, open, onReceived } = request
  const fetch = new BlobFetch(request)
  const isSplit = sizeBytes > 2 * PART_BYTES
  const beginning = { from: 0, to: isSplit ? PART_BYTES : sizeBytes }
  const first = await open(beginning, fetch.givenUp, signal)
  const span = first.isRange ? beginning : { from: 0, to: sizeBytes }
  using ahead = new PartsAhead(fetch, span.to, signal)
  let bytes: AsyncGenerator<Batch> | undefined = fetch.read(span, signal, first)
  let received = 0
  while (bytes !== undefined) {
    const pace = new Pace()
    ahead.fill()
    for await (const batch of bytes) {
      pace.came()
      received += sizeOf(batch)
      onReceived(received)
      yield batch
      pace.taken()
    }
    ahead.isWorthwhile = pace.waitedLonger
    bytes = ahead.next()
  }
}

/** Whether the bytes or their taker were waited for longer. */
class Pace {
  #waitedMs = 0
  #lastMs = performance.now()

  came(): void {
    this.#count(1)
  }

  taken(): void {
    this.#count(-1)
  }

  get waitedLonger(): boolean {
    return this.#waitedMs > 0
  }

  #count(sign: 1 | -1): void {
    const nowMs = performance.now()
    this.#waitedMs += sign * (nowMs - this.#lastMs)
    this.#lastMs = nowMs
  }
}
