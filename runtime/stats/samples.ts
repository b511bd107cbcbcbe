/** What was read of one thing at one time, and at the time before. */
export interface Sample<Value> {
  /** Nanoseconds since 1970, in decimal. */
  readonly atNs: string
  readonly value: Value
  /** Undefined for the first. */
  readonly before: { readonly atNs: string; readonly value: Value } | undefined
}

/** A sample serves all who ask within this time. */
const MAX_AGE_NS = 1e9
/** What nobody asked for this long is forgotten, when something new is asked for. */
const FORGET_AFTER_NS = 600e9

/** One sample each of many things: read when it is asked for, and at most once in a second. */
export class Samples<Value> {
  readonly #read: (key: string) => Value | undefined
  readonly #nowNs: () => string
  readonly #samples = new Map<string, Sample<Value>>()

  /** `read` answers undefined for what is gone. */
  constructor(read: (key: string) => Value | undefined, nowNs: () => string) {
    this.#read = read
    this.#nowNs = nowNs
  }

  get(key: string): Sample<Value> | undefined {
    const last = this.#samples.get(key)
    const atNs = this.#nowNs()
    if (last !== undefined && ageNs(last, atNs) < MAX_AGE_NS) return last
    const value = this.#read(key)
    if (value === undefined) {
      this.#samples.delete(key)
      return undefined
    }
    if (last === undefined) this.#forget(atNs)
    const sample = { atNs, value, before: last && { atNs: last.atNs, value: last.value } }
    this.#samples.set(key, sample)
    return sample
  }

  #forget(nowNs: string): void {
    for (const [key, sample] of this.#samples) {
      if (ageNs(sample, nowNs) > FORGET_AFTER_NS) this.#samples.delete(key)
    }
  }
}

export const ageNs = ({ atNs }: { readonly atNs: string }, nowNs: string): number =>
  Number(BigInt(nowNs) - BigInt(atNs))
