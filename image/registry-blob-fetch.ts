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
  readonly bytes: AsyncIterable<Uint8Array>
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
  async *read({ from, to }: Span, signal: AbortSignal, opened?: BlobPart): AsyncGenerator<Uint8Array> {
    const failures = new Map<object, number>()
    let part = opened
    for (let at = from; ; ) {
      const before = at
      part ??= await this.request.open({ from: at, to }, this.givenUp, signal)
      try {
        for await (const chunk of this.#cut(part, { from: at, to })) {
          at += chunk.length
          yield chunk
        }
        return
      } catch (thrown) {
        if (at >= to && thrown instanceof RegistryFailure && thrown.passing) return // All that was asked for came.
        const count = at - before >= PROGRESS_BYTES ? 1 : (failures.get(part.source) ?? 0) + 1
        failures.set(part.source, count)
        await this.#afterFailure(thrown, part.source, count, signal)
      }
      part = undefined
    }
  }

  /** What of the part lies in the span; throws where it cannot be all of it. */
  async *#cut(part: BlobPart, { from, to }: Span): AsyncGenerator<Uint8Array> {
    const { sizeBytes } = this.request
    let end = part.offset
    for await (const chunk of part.bytes) {
      const start = end
      end += chunk.length
      if (end > sizeBytes) throw failure(part, `more than the ${sizeBytes} bytes of its manifest came`, false)
      if (end <= from) continue
      const within = start >= from && end <= to
      yield within ? chunk : chunk.subarray(Math.max(0, from - start), to - start)
      if (end >= to && to < sizeBytes) return
    }
    if (end < to) throw failure(part, `it ended after ${end} of ${sizeBytes} bytes`, true)
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
