/**
 * How much is fetched at once: a slot each for a layer and, where fewer layers are left, for parts of big ones. More
 * only split the same network, and each costs memory.
 */
export class LayerSlots {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  /** First come, first served; throws when the signal says so before it is one's turn. */
  async take(signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted()
    if (this.#free > 0) this.#free -= 1
    else await this.#turn(signal)
    return this.#slot()
  }

  /** One that nobody waits for; undefined where there is none. */
  takeIdle(): Disposable | undefined {
    if (this.#free === 0) return undefined
    this.#free -= 1
    return this.#slot()
  }

  #slot(): Disposable {
    let held = true
    return {
      [Symbol.dispose]: () => {
        if (!held) return
        held = false
        const next = this.#waiting.shift()
        if (next === undefined) this.#free += 1
        else next()
      },
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const leave = (): void => {
      const place = this.#waiting.indexOf(resolve)
      if (place >= 0) this.#waiting.splice(place, 1)
      reject(signal.reason)
    }
    this.#waiting.push(resolve)
    signal.addEventListener('abort', leave)
    await promise.finally(() => signal.removeEventListener('abort', leave))
  }
}
