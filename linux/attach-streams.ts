import type { Readable, Writable } from 'node:stream'

/** A client's end of an output, which never holds up who writes to it. */
export interface ClientOutput {
  /** How much the client has yet to take of all that was written. Without a client, or once it is gone, data are dropped. */
  write(data: Buffer): number
  /** After the last write: resolves when the client has taken everything, or is gone. */
  taken(): Promise<void>
}

export function clientOutput(stream: Writable | undefined): ClientOutput {
  const { promise: allTaken, resolve } = Promise.withResolvers<void>()
  let underWay = 0
  let isLast = false
  stream?.on('error', () => {}) // A client that has gone is no failure of the container.
  return {
    write(data) {
      if (stream === undefined || !stream.writable) return 0
      underWay += 1
      stream.write(data, () => {
        underWay -= 1
        if (isLast && underWay === 0) resolve()
      })
      return stream.writableLength
    },
    taken() {
      if (stream === undefined || underWay === 0 || stream.destroyed) return Promise.resolve()
      isLast = true
      stream.once('close', resolve)
      return allTaken
    },
  }
}

/** How much of a client's input may wait for the container before the client is read no further. */
const INPUT_WAITING_BYTES = 256 << 10

export interface ClientInput {
  /** So many bytes of what was sent wait no more. */
  taken(sizeBytes: number): void
  /** What the client still writes is dropped. */
  stop(): void
}

/** Passes a client's input on, and calls `onEnd` at its end. */
export function clientInput(
  stream: Readable,
  send: (input: Uint8Array<ArrayBuffer>) => void,
  onEnd: () => void,
): ClientInput {
  let waitingBytes = 0
  let isOver = false
  const end = (): void => {
    if (isOver) return
    isOver = true
    onEnd()
  }
  const pass = (chunk: Buffer): void => {
    if (isOver || chunk.length === 0) return
    waitingBytes += chunk.length
    if (waitingBytes > INPUT_WAITING_BYTES) stream.pause()
    send(new Uint8Array(chunk)) // A copy: the chunk may be part of a pool, which cannot be given away.
  }
  stream.on('error', () => {}) // As its end.
  stream.on('data', pass)
  stream.once('end', end)
  stream.once('close', end)
  if (stream.readableEnded || stream.destroyed) end()
  else stream.resume()
  return {
    taken(sizeBytes) {
      const wasFull = waitingBytes > INPUT_WAITING_BYTES
      waitingBytes -= sizeBytes
      if (wasFull && waitingBytes <= INPUT_WAITING_BYTES) stream.resume()
    },
    stop() {
      isOver = true
      stream.off('data', pass)
      stream.resume()
    },
  }
}
