/** Of an entry, besides its path: what node:fs tells of a file. */
const ENTRY_BYTES = 600
const LIMIT_BYTES = 16 << 20

/** What was found at paths, as long as it does not take too much memory: then it is forgotten. */
export class PathCache<Value> {
  readonly #known = new Map<string, Value>()
  #bytes = 0

  has(path: string): boolean {
    return this.#known.has(path)
  }

  get(path: string): Value | undefined {
    return this.#known.get(path)
  }

  /** `valueBytes`: what the value takes, where that may be much. */
  set(path: string, value: Value, valueBytes = 0): void {
    this.#bytes += path.length + valueBytes + ENTRY_BYTES
    if (this.#bytes > LIMIT_BYTES) {
      this.#known.clear()
      this.#bytes = path.length + valueBytes + ENTRY_BYTES
    }
    this.#known.set(path, value)
  }
}
