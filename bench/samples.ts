/** The percentiles of one kind of measurement, in milliseconds. */
export interface Latency {
  readonly name: string
  readonly n: number
  readonly min: number
  readonly p50: number
  readonly p95: number
  readonly max: number
}

/** Collects durations by name. */
export class Samples {
  readonly #byName = new Map<string, number[]>()

  async time<T>(name: string, work: () => Promise<T>): Promise<T> {
    const begin = performance.now()
    const result = await work()
    this.add(name, performance.now() - begin)
    return result
  }

  add(name: string, ms: number): void {
    const all = this.#byName.get(name)
    if (all === undefined) this.#byName.set(name, [ms])
    else all.push(ms)
  }

  /** In the order in which the names were first met. */
  latencies(): readonly Latency[] {
    return [...this.#byName].map(([name, values]) => latencyOf(name, values))
  }
}

export function latencyOf(name: string, values: readonly number[]): Latency {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
  return { name, n: sorted.length, min: at(0), p50: at(0.5), p95: at(0.95), max: at(1) }
}
