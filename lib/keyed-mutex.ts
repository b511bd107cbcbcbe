interface Waiting {
  readonly shared: boolean
  readonly admit: () => void
}

interface Lock {
  /** How many hold it: any number of sharers, or one alone. */
  holders: number
  alone: boolean
  readonly queue: Waiting[]
}

/**
 * One lock per key, first come first served: two calls about one object never interleave.
 * Sharers hold it together; who wants it alone waits for them, and later sharers wait behind.
 */
export class KeyedMutex {
  readonly #locks = new Map<string, Lock>()

  acquire(key: string): Promise<Disposable> {
    return this.#enter(key, false)
  }

  acquireShared(key: string): Promise<Disposable> {
    return this.#enter(key, true)
  }

  async #enter(key: string, shared: boolean): Promise<Disposable> {
    const lock = this.#locks.get(key) ?? { holders: 0, alone: false, queue: [] }
    this.#locks.set(key, lock)
    const { promise: admitted, resolve: admit } = Promise.withResolvers<void>()
    lock.queue.push({ shared, admit })
    this.#admit(key, lock)
    await admitted
    let held = true
    return {
      [Symbol.dispose]: () => {
        if (!held) return
        held = false
        lock.holders -= 1
        if (lock.holders === 0) lock.alone = false
        this.#admit(key, lock)
      },
    }
  }

  #admit(key: string, lock: Lock): void {
    for (let next = lock.queue[0]; next !== undefined; next = lock.queue[0]) {
      if (lock.alone || (lock.holders > 0 && !next.shared)) return
      lock.queue.shift()
      lock.holders += 1
      lock.alone = !next.shared
      next.admit()
    }
    if (lock.holders === 0) this.#locks.delete(key)
  }
}
