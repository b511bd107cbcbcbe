import type { Readable, Writable } from 'node:stream'
import { fairShare } from './fair-share.ts'

/** A stream that is passed on to another. */
export interface Passing {
  /** Resolves when the source is closed and the target has taken all that came. */
  readonly ended: Promise<void>
  /** How long nothing has come although it was waited for: 0 while the target holds things up, Infinity at the end. */
  idleMs(): number
  /** Reads no more. */
  stop(): void
}

/**
 * Passes on what comes, no faster than the target takes it and in turns with all else. Without a target, or once it is
 * gone, what comes is read and dropped; its failures are its owner's affair. `end` passes on the end as well.
 */
export function passOn(
  source: Readable,
  target: Writable | undefined,
  { end = false }: { readonly end?: boolean } = {},
): Passing {
  const { promise: ended, resolve } = Promise.withResolvers<void>()
  let lastMs = performance.now()
  let underWay = 0
  let closed = false
  let isFull = false
  let waitsForTurn = false
  const finish = (): void => {
    if (closed && (underWay === 0 || target?.destroyed)) resolve()
  }
  const flow = (): void => {
    if (isFull || waitsForTurn) source.pause()
    else if (source.isPaused()) {
      lastMs = performance.now()
      source.resume()
    }
  }
  const hasHadItsShare = fairShare(() => {
    waitsForTurn = false
    flow()
  })
  const makeRoom = (): void => {
    isFull = false
    flow()
  }
  source.on('data', (chunk: Buffer) => {
    lastMs = performance.now()
    waitsForTurn = hasHadItsShare(chunk.length)
    if (target !== undefined && !target.destroyed) {
      underWay += 1
      isFull = !target.write(chunk, () => {
        underWay -= 1
        finish()
      })
    }
    flow()
  })
  target?.on('drain', makeRoom)
  target?.on('error', () => {})
  target?.on('close', () => {
    makeRoom()
    finish()
  })
  if (end) source.on('end', () => target?.end())
  source.on('error', () => source.destroy()) // A terminal ends by EIO.
  source.on('close', () => {
    closed = true
    finish()
  })
  return {
    ended,
    idleMs() {
      if (closed) return Number.POSITIVE_INFINITY
      return source.isPaused() ? 0 : performance.now() - lastMs
    },
    stop: () => void source.destroy(),
  }
}
