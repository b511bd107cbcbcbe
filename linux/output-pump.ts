import type { Readable, Writable } from 'node:stream'

/** Passes what a program writes to a client, no faster than the client takes it. */
export interface OutputPump {
  /** Resolves when the program's end is closed and the client has taken all that came. */
  readonly ended: Promise<void>
  /** How long nothing has come although it was waited for: 0 while the client holds things up, Infinity at the end. */
  idleMs(): number
  /** Reads no more. */
  stop(): void
}

/** Without a client, or once it is gone, what comes is dropped. */
export function pumpOutput(source: Readable, target: Writable | undefined): OutputPump {
  const { promise: ended, resolve } = Promise.withResolvers<void>()
  let lastMs = performance.now()
  let underWay = 0
  let closed = false
  const finish = (): void => {
    if (closed && (underWay === 0 || target?.destroyed)) resolve()
  }
  const resume = (): void => {
    lastMs = performance.now()
    source.resume()
  }
  source.on('data', (chunk: Buffer) => {
    lastMs = performance.now()
    if (target === undefined || target.destroyed) return
    underWay += 1
    const taken = target.write(chunk, () => {
      underWay -= 1
      finish()
    })
    if (!taken) source.pause()
  })
  target?.on('drain', resume)
  target?.on('error', () => {}) // A client that has gone is no failure of the program.
  target?.on('close', () => {
    resume()
    finish()
  })
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
