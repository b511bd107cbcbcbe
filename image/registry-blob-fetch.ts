import { type Batch, sizeOf } from './registry-body.ts'
import { RegistryFailure, shownUrl } from './registry-failure.ts'
import { pauseBeforeRetry, type RetryPolicy } from './registry-retry.ts'

/** Some of a blob's bytes. */
export interface Span {
  readonly from: number
  /** The first that is none of it. */
  readonly to: number
}

/** An answer to a request for some of a blob. */
export interface BlobPart {
  /** Who gave it: one object for each endpoint. */
  readonly source: object
  readonly url: URL
  /** Of its first byte: servers without ranges begin anew. */
  readonly offset: number
  /** False: the server sends all of the blob, whatever it is asked for. */
  readonly isRange: boolean
  readonly bytes: AsyncIterable<Batch>
}

/** Who cannot give the rest of a blob, and why. */
export type GivenUp = ReadonlyMap<object, RegistryFailure>

/** A blob as it can be had. */
export interface BlobRequest {
  readonly sizeBytes: number
  /** Asks whoever is not given up. What it throws is final. */
  readonly open: (span: Span, givenUp: GivenUp, signal: AbortSignal) => Promise<BlobPart>
  readonly retries: RetryPolicy
  /** Memory for so many parts that come before their turn, or undefined where there is none. */
  readonly takeSlot: () => Disposable | undefined
  /** Hears how many bytes have come so far. */
  readonly onReceived: (receivedBytes: number) => void
}

/** So much makes up for the failures before: a long download may break off more often than a short one. */
const PROGRESS_BYTES = 1 << 20

/** The reading of one blob from whoever is not given up. */
export class BlobFetch {
  readonly request: BlobRequest
  readonly givenUp = new Map<object, RegistryFailure>()

  constructor(request: BlobRequest) {
    this.request = request
  }

  /** The span's bytes; `opened` is the answer to a request for them, where there is one already. */
  async *read({ from, to }: Span, signal: AbortSignal, opened?: BlobPart): AsyncGenerator<Batch> {
    const failures = new Map<object, number>()
    let part = opened
    for (let at = from; ; ) {
      const before = at
      part ??= await this.request.open({ from: at, to }, this.givenUp, signal)
      try {
        for await (const batch of this.#cut(part, { from: at, to })) {
          at += sizeOf(batch)
          yield batch
        }
        return
      } catch (thrown) {
        if (at >= to && isPassing(thrown)) return // All that was asked for came.
        const count = failuresInARow(failures, part.source, at - before)
        await this.#afterFailure(thrown, part.source, count, signal)
      }
      part = undefined
    }
  }

  /** What of the part lies in the span; throws where it cannot be all of it. */
  async *#cut(part: BlobPart, span: Span): AsyncGenerator<Batch> {
    const { sizeBytes } = this.request
    let end = part.offset
    for await (const batch of part.bytes) {
      const start = end
      end += sizeOf(batch)
      if (end > sizeBytes) throw failure(part, `more than the ${sizeBytes} bytes of its manifest came`, false)
      const within = start >= span.from && end <= span.to ? batch : cut(batch, start, span)
      if (within.length > 0) yield within
      // The end of a range comes by itself, and leaves the connection to the next.
      if (isTooMuch(part, end, span, sizeBytes)) return
    }
    if (end < span.to) throw failure(part, `it ended after ${end} of ${sizeBytes} bytes`, true)
  }

  /** Waits for another attempt, or gives the source up for this blob. */
  async #afterFailure(thrown: unknown, source: object, failures: number, signal: AbortSignal): Promise<void> {
    try {
      await pauseBeforeRetry(thrown, failures, this.request.retries, signal)
    } catch (hopeless) {
      if (hopeless !== thrown || !(thrown instanceof RegistryFailure)) throw hopeless
      this.givenUp.set(source, thrown)
    }
  }
}

const failure = (part: BlobPart, why: string, passing: boolean) =>
  new RegistryFailure(`${shownUrl(part.url)}: ${why}`, { kind: 'unavailable', passing })

/** What of a batch, which begins at `start`, lies in the span. */
function cut(batch: Batch, start: number, { from, to }: Span): Batch {
  let at = start
  return batch.flatMap((chunk) => {
    const begin = at
    at += chunk.byteLength
    const part = chunk.subarray(Math.max(0, from - begin), Math.max(0, to - begin))
    return part.byteLength === 0 ? [] : [part]
  })
}

/** One more of this source, but for what it gave since the last. */
function failuresInARow(failures: Map<object, number>, source: object, receivedBytes: number): number {
  const count = receivedBytes >= PROGRESS_BYTES ? 1 : (failures.get(source) ?? 0) + 1
  failures.set(source, count)
  return count
}

const isPassing = (thrown: unknown): boolean => thrown instanceof RegistryFailure && thrown.passing

/** Whether more comes than was asked for. */
const isTooMuch = ({ isRange }: BlobPart, end: number, { to }: Span, sizeBytes: number): boolean =>
  end > to || (end === to && !isRange && end < sizeBytes)
