import type { Readable } from 'node:stream'
import { finished } from 'node:stream'

/** Some of a body's chunks, in order. */
export type Batch = readonly Uint8Array[]

/** So much is taken from the network while nobody asks. */
const BATCH_BYTES = 256 << 10
/** What is smaller is copied together: a server may send each byte as a chunk, whose object takes a hundred times as much. */
const SMALL_BYTES = 1 << 10
const GATHERED_BYTES = 16 << 10

/**
 * The chunks of a body, all that came since it was asked last at a time: a step for each chunk would cost more than
 * the chunk. `waiting` is called when it begins to wait for the server, and what that answers when it no longer does.
 * Who leaves early ends the connection.
 */
export async function* batchesOf(body: Readable, waiting: () => () => void): AsyncGenerator<Batch> {
  const batch = new BatchBuilder()
  let end: { readonly failure: Error | null | undefined } | undefined
  let wake = (): void => {}
  const take = (chunk: Uint8Array): void => {
    batch.add(chunk)
    if (batch.sizeBytes >= BATCH_BYTES) body.pause()
    wake()
  }
  const forget = finished(body, { writable: false }, (failure) => {
    end = { failure }
    wake()
  })
  body.on('data', take)
  try {
    for (;;) {
      if (batch.sizeBytes > 0) {
        const taken = batch.take()
        body.resume()
        yield taken
      } else if (end === undefined) {
        const came = waiting()
        const { promise, resolve } = Promise.withResolvers<void>()
        wake = resolve
        await promise.finally(came)
      } else if (end.failure) throw end.failure
      else return
    }
  } finally {
    forget()
    body.off('data', take)
    if (end === undefined) body.on('error', () => {}).destroy()
  }
}

class BatchBuilder {
  sizeBytes = 0
  #chunks: Uint8Array[] = []
  /** Small chunks lie in it; what is before `#from` was handed out already. */
  #memory = Buffer.alloc(0)
  #from = 0
  #to = 0

  add(chunk: Uint8Array): void {
    this.sizeBytes += chunk.byteLength
    if (chunk.byteLength >= SMALL_BYTES) {
      this.#flush()
      this.#chunks.push(chunk)
      return
    }
    if (this.#to + chunk.byteLength > this.#memory.length) this.#renew()
    this.#memory.set(chunk, this.#to)
    this.#to += chunk.byteLength
  }

  take(): Batch {
    this.#flush()
    const batch = this.#chunks
    this.#chunks = []
    this.sizeBytes = 0
    return batch
  }

  #flush(): void {
    if (this.#to > this.#from) this.#chunks.push(this.#memory.subarray(this.#from, this.#to))
    this.#from = this.#to
  }

  #renew(): void {
    this.#flush()
    this.#memory = Buffer.allocUnsafeSlow(GATHERED_BYTES)
    this.#from = 0
    this.#to = 0
  }
}

export const sizeOf = (batch: Batch): number => batch.reduce((sum, { byteLength }) => sum + byteLength, 0)
