import { performance } from 'node:perf_hooks'
import { CriError } from '#lib/errors.ts'
import type { Batch } from './registry-body.ts'

/** How often within its time a watch looks: a pull is given up that much late at most. */
const LOOKS = 10
const LONGEST_LOOK_MS = 5_000

/**
 * Gives a pull up for which no byte came for too long, whichever endpoints were asked and however often. Only the
 * time counts in which somebody waits for bytes: a slow disk stops no pull, and neither does the wait for one's turn.
 */
export class PullWatch implements Disposable {
  /** Of the pull: aborts with the caller's, or when nothing comes. */
  readonly signal: AbortSignal
  readonly #timeoutMs: number
  readonly #giveUp = new AbortController()
  readonly #timer: NodeJS.Timeout | undefined
  readonly #waiting = new Map<symbol, string>()
  #lastMs = 0
  #stalled: string | undefined

  /** A timeout of 0 is none. */
  constructor(timeoutMs: number, signal: AbortSignal) {
    this.signal = AbortSignal.any([signal, this.#giveUp.signal])
    this.#timeoutMs = timeoutMs
    if (timeoutMs > 0) {
      const everyMs = Math.min(LONGEST_LOOK_MS, timeoutMs / LOOKS)
      this.#timer = setInterval(() => this.#look(), everyMs).unref()
    }
  }

  /** Waits for what is progress as a whole, such as a manifest; `what` names it. */
  async step<Result>(what: string, step: Promise<Result>): Promise<Result> {
    const key = this.#wait(what)
    try {
      return await step
    } finally {
      this.#came(key)
    }
  }

  /** The same chunks one by one; what comes at once is progress. */
  async *chunks(what: string, batches: AsyncIterable<Batch>): AsyncGenerator<Uint8Array> {
    let key = this.#wait(what)
    try {
      for await (const batch of batches) {
        this.#came(key)
        yield* batch
        key = this.#wait(what)
      }
    } finally {
      this.#came(key)
    }
  }

  /** What a pull that failed by it is told; otherwise what was thrown. */
  explain(thrown: unknown): unknown {
    if (this.#stalled === undefined) return thrown
    return new CriError(
      'deadline-exceeded',
      `no byte came for ${this.#timeoutMs / 1000} s of ${this.#stalled}: see to the network or the registry, ` +
        'or allow more time by image.pull_progress_timeout',
    )
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  #wait(what: string): symbol {
    const key = Symbol(what)
    if (this.#waiting.size === 0) this.#lastMs = performance.now()
    this.#waiting.set(key, what)
    return key
  }

  #came(key: symbol): void {
    this.#waiting.delete(key)
    this.#lastMs = performance.now()
  }

  #look(): void {
    const isStalled = this.#waiting.size > 0 && performance.now() - this.#lastMs >= this.#timeoutMs
    if (!isStalled || this.#stalled !== undefined) return
    this.#stalled = [...new Set(this.#waiting.values())].join(', ')
    this.#giveUp.abort(new Error('no byte came'))
  }
}
