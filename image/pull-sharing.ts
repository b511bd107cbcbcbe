import { CriError } from '#lib/errors.ts'

/** A call that has begun, and what callers may know of it meanwhile. */
export interface StartedCall<Result, About> {
  readonly result: Promise<Result>
  readonly about: About
}

interface SharedCall<Result, About> extends StartedCall<Result, About> {
  readonly end: AbortController
  callers: number
}

/** Calls of one key that are under way together are one. It is given up when the last caller has hung up. */
export class SharedCalls<Result, About> {
  readonly #calls = new Map<string, SharedCall<Result, About>>()

  /**
   * `start` gets a signal of the shared call's own; `signal` is the caller's. `tell` is called once, before the
   * result is there. Throws cancelled when the caller's signal aborts.
   */
  async join(
    key: string,
    signal: AbortSignal,
    start: (signal: AbortSignal) => StartedCall<Result, About>,
    tell: (about: About) => void,
  ): Promise<Result> {
    if (signal.aborted) throw hungUp(signal)
    const call = this.#calls.get(key) ?? this.#start(key, start)
    call.callers += 1
    tell(call.about)
    const { promise: left, reject: leave } = Promise.withResolvers<never>()
    const hangUp = () => {
      leave(hungUp(signal))
      this.#leave(key, call)
    }
    signal.addEventListener('abort', hangUp, { once: true })
    try {
      return await Promise.race([call.result, left])
    } finally {
      signal.removeEventListener('abort', hangUp)
    }
  }

  #start(key: string, start: (signal: AbortSignal) => StartedCall<Result, About>): SharedCall<Result, About> {
    const end = new AbortController()
    const call: SharedCall<Result, About> = { ...start(end.signal), end, callers: 0 }
    this.#calls.set(key, call)
    const forget = () => {
      if (this.#calls.get(key) === call) this.#calls.delete(key)
    }
    call.result.then(forget, forget)
    return call
  }

  /** Who comes after the last has left does not join what is being given up. */
  #leave(key: string, call: SharedCall<Result, About>): void {
    call.callers -= 1
    if (call.callers > 0) return
    if (this.#calls.get(key) === call) this.#calls.delete(key)
    call.end.abort(new CriError('cancelled', 'every caller hung up'))
  }
}

const hungUp = (signal: AbortSignal) =>
  new CriError('cancelled', 'the caller hung up', { cause: signal.reason })
