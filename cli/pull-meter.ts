/** One layer of a pull, as the daemon tells of it (image/pull-progress.ts). */
export interface ShownLayer {
  readonly digest: string
  readonly phase: 'waiting' | 'fetching' | 'unpacking' | 'done' | 'here'
  readonly receivedBytes: number
  readonly sizeBytes: number
}

/** What shows a pull. */
export interface PullView extends Disposable {
  /** The layers that have changed, by their number. */
  update(changed: { readonly [index: string]: ShownLayer }): void
  /** It has succeeded. */
  finish(): void
}

export interface PullTotals {
  readonly layers: number
  /** Done, or here before. */
  readonly ready: number
  /** Of those layers that are not here already. */
  readonly receivedBytes: number
  readonly sizeBytes: number
  readonly hereBytes: number
}

export const isReady = ({ phase }: ShownLayer): boolean => phase === 'done' || phase === 'here'

const WINDOW_MS = 3_000

/** The layers of a pull, and how fast their bytes come: over the last three seconds, so that a stall shows soon. */
export class PullMeter {
  readonly layers: ShownLayer[] = []
  readonly #rates = new Map<number, { atMs: number; receivedBytes: number }[]>()

  update(changed: { readonly [index: string]: ShownLayer }, nowMs: number): void {
    for (const [key, layer] of Object.entries(changed)) {
      const index = Number(key)
      this.layers[index] = layer
      const samples = this.#rates.get(index) ?? []
      this.#rates.set(index, samples)
      // It begins anew after a failure.
      if ((samples.at(-1)?.receivedBytes ?? 0) > layer.receivedBytes) samples.length = 0
      samples.push({ atMs: nowMs, receivedBytes: layer.receivedBytes })
    }
  }

  /** Of one layer in bytes a second; 0 where nothing comes. */
  rate(index: number, nowMs: number): number {
    const samples = this.#rates.get(index) ?? []
    // The last before the window stays: what came since is of the window.
    while ((samples[1]?.atMs ?? nowMs) <= nowMs - WINDOW_MS) samples.shift()
    const [first] = samples
    const last = samples.at(-1)
    if (first === undefined || last === undefined || nowMs <= first.atMs) return 0
    const sinceMs = Math.max(nowMs - first.atMs, 500)
    return Math.max(0, (last.receivedBytes - first.receivedBytes) * 1000) / sinceMs
  }

  /** Of all of them together. */
  totalRate(nowMs: number): number {
    return this.layers.reduce((sum, _, index) => sum + this.rate(index, nowMs), 0)
  }

  get totals(): PullTotals {
    const totals = { layers: this.layers.length, ready: 0, receivedBytes: 0, sizeBytes: 0, hereBytes: 0 }
    for (const layer of this.layers) {
      const { phase, receivedBytes, sizeBytes } = layer
      if (isReady(layer)) totals.ready += 1
      if (phase === 'here') totals.hereBytes += sizeBytes
      else {
        totals.receivedBytes += receivedBytes
        totals.sizeBytes += sizeBytes
      }
    }
    return totals
  }
}
