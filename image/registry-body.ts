import type { Readable } from 'node:stream'
import { finished } from 'node:stream'

/** Some of a body's chunks, in order, each with memory of its own. */
export type Batch = readonly Uint8Array[]

/** So much is taken from the network while nobody asks. */
const BATCH_BYTES = 256 << 10

/**
 * The chunks of a body, all that came since it was asked last at a time: a step for each chunk would cost more than
 * the chunk. `waiting` is called when it begins to wait for the server, and what that answers when it no longer does.
 * Who leaves early ends the connection.
 */
export async function* batchesOf(body: Readable, waiting: () => () => void): AsyncGenerator<Batch> {
  let batch: Uint8Array[] = []
  let sizeBytes = 0
  let end: { readonly failure: Error | null | undefined } | undefined
  let wake = (): void => {}
  const take = (chunk: Uint8Array): void => {
    batch.push(chunk)
    sizeBytes += chunk.byteLength
    if (sizeBytes >= BATCH_BYTES) body.pause()
    wake()
  }
  const forget = finished(body, { writable: false }, (failure) => {
    end = { failure }
    wake()
  })
  body.on('data', take)
  try {
    for (;;) {
      if (batch.length > 0) {
        const taken = batch
        batch = []
        sizeBytes = 0
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

export const sizeOf = (batch: Batch): number => batch.reduce((sum, { byteLength }) => sum + byteLength, 0)
