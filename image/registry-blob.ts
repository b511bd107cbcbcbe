import { RegistryFailure, shownUrl } from './registry-failure.ts'
import { pauseBeforeRetry, type RetryPolicy } from './registry-retry.ts'

/** An answer to a request for a blob from some offset on. */
export interface BlobPart {
  readonly url: URL
  /** Of its first byte: servers without ranges begin anew. */
  readonly offset: number
  readonly bytes: AsyncIterable<Uint8Array>
}

/** So much makes up for the failures before: a long download may break off more often than a short one. */
const PROGRESS_BYTES = 1 << 20

/**
 * A blob's bytes, once each and in order, however often the connection breaks off. Throws RegistryFailure when
 * that is too often, or when they are not `sizeBytes`; what `open` throws is final. `onReceived` hears how many
 * bytes have come so far.
 */
export async function* readBlob(
  open: (offset: number) => Promise<BlobPart>,
  sizeBytes: number,
  retries: RetryPolicy,
  signal: AbortSignal,
  onReceived: (receivedBytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let received = 0
  let failures = 0
  for (;;) {
    const before = received
    const part = await open(received)
    try {
      for await (const chunk of rest(part, received, sizeBytes)) {
        received += chunk.length
        onReceived(received)
        yield chunk
      }
      return
    } catch (thrown) {
      failures = received - before >= PROGRESS_BYTES ? 1 : failures + 1
      await pauseBeforeRetry(thrown, failures, retries, signal)
    }
  }
}

/** What of the part lies at `offset` and behind; throws where the blob then has not `sizeBytes`. */
async function* rest(part: BlobPart, offset: number, sizeBytes: number): AsyncGenerator<Uint8Array> {
  if (part.offset > offset) throw failure(part, `it began at byte ${part.offset}, asked for ${offset}`, false)
  let end = part.offset
  for await (const chunk of part.bytes) {
    const start = end
    end += chunk.length
    if (end > sizeBytes) throw failure(part, `more than the ${sizeBytes} bytes of its manifest came`, false)
    if (start >= offset) yield chunk
    else if (end > offset) yield chunk.subarray(offset - start)
  }
  if (end < sizeBytes) throw failure(part, `it ended after ${end} of ${sizeBytes} bytes`, true)
}

const failure = (part: BlobPart, why: string, passing: boolean) =>
  new RegistryFailure(`${shownUrl(part.url)}: ${why}`, { kind: 'unavailable', passing })
