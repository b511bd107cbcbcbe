import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { untilAborted } from '#lib/until-aborted.ts'
import { layerDirectory } from './additional-stores.ts'
import { type ImagePatches, type LayerOfImage, type PlacedLayer, withPatches } from './image-patches.ts'
import type { LayerPlace, StoredImage, StoredLayer } from './image-records.ts'
import type { LayerSource } from './image-source.ts'
import { headersFileOf } from './layer-headers.ts'
import { LayerPins } from './layer-pins.ts'
import { placeLayers } from './layer-placing.ts'
import type { LayerClaim, LayerStoreOptions } from './layer-store-options.ts'
import type { Unpacked } from './untar-pool.ts'

/** A layer on its way: unpacked under a name that no record knows. */
interface Ingest {
  readonly diffId: string
  readonly directory: string
  readonly abort: AbortController
  readonly unpacked: Promise<Unpacked>
  users: number
  isCommitted: boolean
}

/**
 * Unpacked layers, each once, whichever images have it: an overlayfs lower directory does not depend on those
 * below, so that its diff id alone names it.
 *
 *   claim: fetch, unpack into tmp-… ──▶ commit: syncfs, rename, fsync, record ──▶ collect: record, rename, delete
 */
export class LayerStore {
  readonly #options: LayerStoreOptions
  readonly #directory: string
  readonly #ingests = new Map<string, Ingest>()
  readonly #unplaced = new Set<string>() // Directories of ingests, until they are placed or discarded.
  readonly #pins = new LayerPins()
  #commit: Promise<void> | undefined

  constructor(options: LayerStoreOptions) {
    this.#options = options
    this.#directory = join(options.root, 'layers')
  }

  /** Where a layer lies. */
  path({ number, directory }: LayerPlace): string {
    return directory ?? layerDirectory(this.#options.root, number)
  }

  /** Where its files are seen, for an overlay: until the layer is collected. */
  lowerDirectory(place: LayerPlace | StoredLayer): string {
    const { records, mounts } = this.#options
    const layer = 'format' in place ? place : records.layerByNumber(place.number)
    const path = this.path(place)
    return layer?.format === 'erofs' ? mounts.directory(layer, path) : path
  }

  /** What is to be recorded of those layers of an additional store that no record knows yet. */
  adopt(diffIds: readonly string[]): readonly StoredLayer[] {
    const { records, additional } = this.#options
    return [...new Set(diffIds)].flatMap((diffId) => {
      const layer = records.layer(diffId) === undefined ? additional.layer(diffId) : undefined
      return layer === undefined ? [] : [{ ...layer, number: records.nextLayerNumber() }]
    })
  }

  /** Also one of an additional store that no record knows yet, under a number of its own. */
  #find(diffId: string): StoredLayer | undefined {
    return this.#options.records.layer(diffId) ?? this.adopt([diffId])[0]
  }

  /** Where layers lie that no record knows yet. */
  ingests(): readonly string[] {
    return [...this.#unplaced]
  }

  /** Whether somebody counts on it right now. */
  isClaimed(diffId: string): boolean {
    return this.#pins.has(diffId)
  }

  /** Resolves when no commit is on its way: until the next await only ingests lie there without a record. */
  async quiet(): Promise<void> {
    while (this.#commit !== undefined) await this.#commit.catch(() => {})
  }

  /** Sees to it that the layer is here or ready to be committed; who comes second shares the work of the first. */
  async claim(source: LayerSource, signal: AbortSignal): Promise<LayerClaim> {
    const unpin = this.#pins.pin(source.diffId)
    try {
      const { compressedBytes, leave } = await this.#obtain(source, signal)
      return { compressedBytes, release: () => leave().finally(unpin) }
    } catch (error) {
      unpin()
      throw error
    }
  }

  /** Makes claimed layers and their image visible, all of it or nothing. One at a time. */
  async commit(image: StoredImage, signal: AbortSignal): Promise<void> {
    this.#commit = this.#place(image, signal).finally(() => {
      this.#commit = undefined
    })
    await this.#commit
  }

  async #place(image: StoredImage, signal: AbortSignal): Promise<void> {
    const { records, additional, atStep } = this.#options
    const fresh = [...new Set(image.diffIds)]
      .filter((diffId) => (records.layer(diffId) ?? additional.layer(diffId)) === undefined)
      .map((diffId) => this.#claimed(diffId))
    const layers = await Promise.all(
      fresh.map(async (ingest) => this.#layerOf(ingest, await ingest.unpacked)),
    )
    const own = layers.map((layer, index) => ({ layer, from: fresh[index]?.directory ?? '' }))
    await this.#withPatches(image.diffIds, own, signal, async ({ stack, made }) => {
      const placed = [...own, ...made]
      const record = (): void => {
        atStep('commit')
        const adopted = this.adopt(stack) // Not before: a container may have taken some over meanwhile.
        records.putImage({ ...image, stack }, [...adopted, ...placed.map(({ layer }) => layer)])
      }
      const moves = placed.map(({ layer, from }) => ({ from, to: this.path(layer) }))
      await placeLayers(this.#directory, moves, record, atStep)
    })
    for (const ingest of fresh) {
      ingest.isCommitted = true
      this.#ingests.delete(ingest.diffId)
      this.#unplaced.delete(ingest.directory)
    }
    atStep('committed')
  }

  async #withPatches(
    diffIds: readonly string[],
    own: readonly PlacedLayer[],
    signal: AbortSignal,
    commit: (patches: ImagePatches) => Promise<void>,
  ): Promise<void> {
    const { records, mounts } = this.#options
    using held = new DisposableStack()
    const seenOf = ({ layer, from }: PlacedLayer): string =>
      layer.format === 'erofs' ? held.use(mounts.temporary(from)).path : from
    const layers = diffIds.map((diffId): LayerOfImage => {
      const fresh = own.find(({ layer }) => layer.diffId === diffId)
      if (fresh !== undefined) return { diffId, directory: seenOf(fresh), gaps: fresh.layer.gaps }
      const layer = this.#find(diffId)
      if (layer === undefined) throw new Error(`layer ${diffId} is committed without a record`)
      held.use(mounts.hold(layer.number))
      return {
        diffId,
        directory: this.lowerDirectory(layer),
        gaps: layer.gaps ?? records.layerGaps(layer.number),
      }
    })
    await withPatches(layers, commit, {
      ...this.#options,
      find: (name) => this.#find(name),
      path: (layer) => this.path(layer),
      temporary: () => this.#temporaryPath(),
      pin: (name) => this.#pins.pin(name),
      signal,
    })
  }

  #temporaryPath(): string {
    return join(this.#directory, `tmp-${randomBytes(8).toString('hex')}`)
  }

  /** Deletes the layers that nothing uses. */
  collect(): void {
    const { records, atStep, mounts } = this.#options
    mounts.trim()
    const numbers = records.dropUnusedLayers(this.#pins.pinned())
    if (numbers.length > 0) atStep('discard')
    for (const number of numbers) this.#discard(this.path({ number })) // One of an additional store is not there.
  }

  async #obtain(source: LayerSource, signal: AbortSignal) {
    for (;;) {
      signal.throwIfAborted()
      const { records, additional } = this.#options
      const stored = records.layer(source.diffId) ?? additional.layer(source.diffId)
      if (stored !== undefined) return { compressedBytes: stored.compressedBytes, leave: async () => {} }
      const joined = this.#ingests.get(source.diffId)
      const ingest = joined ?? this.#begin(source)
      ingest.users += 1
      try {
        const { compressedBytes } = await untilAborted(ingest.unpacked, signal)
        return { compressedBytes, leave: () => this.#leave(ingest) }
      } catch (error) {
        await this.#leave(ingest)
        // That another's source failed does not mean that ours does.
        if (joined === undefined || signal.aborted) throw error
      }
    }
  }

  #begin(source: LayerSource): Ingest {
    const abort = new AbortController()
    const target = this.#temporaryPath()
    this.#unplaced.add(target)
    const unpacked = this.#unpack(source, target, abort.signal).catch((error: unknown) => {
      if (this.#ingests.get(source.diffId) === ingest) this.#ingests.delete(source.diffId)
      this.#discard(target)
      throw error
    })
    const { diffId } = source
    const ingest: Ingest = { diffId, directory: target, abort, unpacked, users: 0, isCommitted: false }
    this.#ingests.set(source.diffId, ingest)
    return ingest
  }

  async #unpack(source: LayerSource, directory: string, signal: AbortSignal): Promise<Unpacked> {
    using _slot = await this.#options.slots.take(signal)
    const { digest, diffId, form } = source
    const { format, limits } = this.#options
    const job = { directory, format, digest, diffId, form, limits }
    return await this.#options.pool.untar(job, (stop) => source.open(stop), signal)
  }

  /** The last to leave a layer that was not committed takes it away. */
  async #leave(ingest: Ingest): Promise<void> {
    ingest.users -= 1
    if (ingest.users > 0 || ingest.isCommitted) return
    if (this.#ingests.get(ingest.diffId) === ingest) this.#ingests.delete(ingest.diffId)
    ingest.abort.abort()
    await ingest.unpacked.then(
      () => this.#discard(ingest.directory),
      () => {}, // It was discarded when it failed.
    )
  }

  #discard(directory: string): void {
    this.#unplaced.delete(directory)
    this.#options.trash.discard(headersFileOf(directory))
    this.#options.trash.discard(directory)
  }

  #claimed(diffId: string): Ingest {
    const ingest = this.#ingests.get(diffId)
    if (ingest === undefined) throw new Error(`layer ${diffId} is committed without a claim`)
    return ingest
  }

  #layerOf({ diffId }: Ingest, unpacked: Unpacked): StoredLayer {
    const { compressedBytes, usedBytes, usedInodes, verity, gaps } = unpacked
    const { records, format } = this.#options
    const number = records.nextLayerNumber()
    return { number, diffId, compressedBytes, usedBytes, usedInodes, format, verity, gaps }
  }
}
