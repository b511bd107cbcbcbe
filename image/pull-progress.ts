import type { Descriptor } from './manifest.ts'

/**
 * waiting (for its turn, or for another pull that fetches it) → fetching → unpacking (all bytes have come) → done;
 * here: nothing of it was fetched.
 */
export type LayerPhase = 'waiting' | 'fetching' | 'unpacking' | 'done' | 'here'

/** How far one layer of a pull is. */
export interface LayerProgress {
  readonly digest: string
  readonly phase: LayerPhase
  /** Each byte is counted once, however often the connection broke off. */
  readonly receivedBytes: number
  /** Of the whole layer, compressed. */
  readonly sizeBytes: number
}

/** How far one pull is: the pull writes it, whoever shows or measures it reads it when it likes. */
export class PullProgress {
  /** The reference in full, as errors name it. */
  readonly image: string
  readonly #onReceived: (bytes: number) => void
  #layers: LayerProgress[] = []

  /** `onReceived` hears of bytes as they come. Must not throw. */
  constructor(image: string, onReceived: (bytes: number) => void = () => {}) {
    this.image = image
    this.#onReceived = onReceived
  }

  /** Base first; empty until the manifest is here. */
  get layers(): readonly LayerProgress[] {
    return this.#layers
  }

  begin(layers: readonly Descriptor[]): void {
    this.#layers = layers.map(({ digest, sizeBytes }) => {
      return { digest, phase: 'waiting', receivedBytes: 0, sizeBytes }
    })
  }

  /** All that has come of it so far. A layer that is fetched anew begins at 0 again. */
  received(index: number, receivedBytes: number): void {
    const before = this.#layers[index]
    if (before === undefined) return
    if (receivedBytes > before.receivedBytes) this.#onReceived(receivedBytes - before.receivedBytes)
    this.#layers[index] = {
      ...before,
      receivedBytes,
      phase: receivedBytes < before.sizeBytes ? 'fetching' : 'unpacking',
    }
  }

  /** It is in the store, or ready to be. */
  arrived(index: number): void {
    const before = this.#layers[index]
    if (before === undefined) return
    this.#layers[index] = { ...before, phase: before.phase === 'waiting' ? 'here' : 'done' }
  }
}
