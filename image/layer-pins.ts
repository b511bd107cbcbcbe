/** Layers that are to stay, by their diff ids, for as long as somebody wants each. */
export class LayerPins {
  readonly #counts = new Map<string, number>()

  /** Answers how to let go of it, which is done once. */
  pin(diffId: string): () => void {
    this.#counts.set(diffId, (this.#counts.get(diffId) ?? 0) + 1)
    return () => {
      const left = (this.#counts.get(diffId) ?? 1) - 1
      if (left > 0) this.#counts.set(diffId, left)
      else this.#counts.delete(diffId)
    }
  }

  has(diffId: string): boolean {
    return this.#counts.has(diffId)
  }

  pinned(): ReadonlySet<string> {
    return new Set(this.#counts.keys())
  }
}
