import { createHash } from 'node:crypto'
import { CriError, describeError, invalidArgument } from '#lib/errors.ts'
import { KeyedMutex } from '#lib/keyed-mutex.ts'
import type { Log } from '#lib/log.ts'
import type { Clock } from '#runtime/ports.ts'
import { type ParsedImageConfig, parseImageConfig } from './image-config.ts'
import type { ImageRecords, StoredImage } from './image-records.ts'
import type {
  ImageFilesystemUsage,
  ImageRecord,
  ImageSource,
  ImageStore,
  LayerSource,
} from './image-source.ts'
import type { LayerClaim, LayerStore } from './layer-store.ts'

export interface ImageStoreOptions {
  /** The directory of all of it, for `usage`. */
  readonly root: string
  readonly records: ImageRecords
  /** What containers wrote there, as it was measured last. */
  readonly written: () => { readonly usedBytes: number; readonly usedInodes: number }
  readonly layers: Pick<LayerStore, 'claim' | 'commit' | 'collect'>
  /** See ImageStore. */
  readonly localNames: (reference: string) => readonly string[]
  readonly clock: Clock
  readonly log: Log
  /** Whether an image of these tags and digests is kept from kubelet's garbage collection. */
  readonly isPinned: (names: readonly string[]) => boolean
}

const SHORTEST_ID = 3

/** The images of this machine. Lookups answer from memory. */
export class LocalImageStore implements ImageStore {
  readonly #options: ImageStoreOptions
  readonly #commits = new KeyedMutex()
  readonly #configs = new Map<string, ParsedImageConfig>()
  #images: ReadonlyMap<string, ImageRecord> = new Map()
  #idOfName: ReadonlyMap<string, string> = new Map()

  constructor(options: ImageStoreOptions) {
    this.#options = options
    this.#reload()
  }

  async add(source: ImageSource, signal: AbortSignal): Promise<string> {
    const id = `sha256:${createHash('sha256').update(source.config).digest('hex')}`
    const what = `image ${source.tags[0] ?? source.digests[0] ?? id}`
    checkLayers(source, parseImageConfig(source.config, what), what)
    if (this.#addNames(id, source)) return id
    const claims = await this.#claimAll(source, what, signal)
    try {
      using _ = await this.#commits.acquire('')
      signal.throwIfAborted()
      // Another call may have brought it meanwhile.
      if (!this.#addNames(id, source)) await this.#options.layers.commit(this.#imageOf(id, source, claims))
      this.#reload()
    } finally {
      await releaseAll(claims)
      this.#options.layers.collect() // What was removed while it was claimed.
    }
    return id
  }

  find(reference: string): ImageRecord | undefined {
    const named = this.#idOfName.get(reference) ?? reference
    const exact = this.#images.get(named)
    if (exact !== undefined) return exact
    const digits = reference.replace(/^sha256:/, '')
    if (!/^[0-9a-f]+$/.test(digits) || digits.length < SHORTEST_ID) return undefined
    const matches = [...this.#images.values()].filter(({ id }) => id.startsWith(`sha256:${digits}`))
    if (matches.length > 1) {
      throw invalidArgument(
        `image id ${reference} is ambiguous, ${matches.length} begin with it: give more digits`,
      )
    }
    return matches[0]
  }

  localNames(reference: string): readonly string[] {
    return this.#options.localNames(reference)
  }

  list(): readonly ImageRecord[] {
    return [...this.#images.values()]
  }

  async remove(reference: string): Promise<void> {
    const image = this.find(reference)
    if (image === undefined) return
    this.#options.records.removeImage(image.id)
    this.#reload()
    this.#options.layers.collect()
  }

  async usage(): Promise<ImageFilesystemUsage> {
    let { usedBytes, usedInodes } = this.#options.written()
    for (const layer of this.#options.records.layers()) {
      usedBytes += layer.usedBytes
      usedInodes += layer.usedInodes
    }
    return { path: this.#options.root, usedBytes, usedInodes }
  }

  /** False when the image is not here. */
  #addNames(id: string, { tags, digests }: ImageSource): boolean {
    if (!this.#images.has(id)) return false
    this.#options.records.addNames(id, { tags, digests })
    this.#reload()
    return true
  }

  /** All layers, or none: the first failure stops the others. */
  async #claimAll(source: ImageSource, what: string, signal: AbortSignal): Promise<readonly LayerClaim[]> {
    const failed = new AbortController()
    const stop = AbortSignal.any([signal, failed.signal])
    const claim = async (layer: LayerSource): Promise<LayerClaim> => {
      try {
        const claim = await this.#options.layers.claim(layer, stop)
        layer.arrived?.()
        return claim
      } catch (error) {
        failed.abort(error)
        throw error
      }
    }
    const results = await Promise.all(source.layers.map((layer) => settle(claim(layer), layer)))
    const claims = results.flatMap((result) => ('claim' in result ? [result.claim] : []))
    if (claims.length === results.length) return claims
    await releaseAll(claims)
    signal.throwIfAborted()
    const cause: unknown = failed.signal.reason
    const layer = results.find((result) => 'error' in result && result.error === cause)?.layer
    const kind = cause instanceof CriError ? cause.kind : 'internal'
    throw new CriError(kind, `${what}: layer ${layer?.digest ?? ''} could not be had`, { cause })
  }

  #imageOf(id: string, source: ImageSource, claims: readonly LayerClaim[]): StoredImage {
    const { config, manifestDigest, layers, tags, digests } = source
    const compressed = layers.map((layer, index) => layer.sizeBytes ?? claims[index]?.compressedBytes ?? 0)
    return {
      id,
      config,
      manifestDigest,
      sizeBytes: compressed.reduce((sum, sizeBytes) => sum + sizeBytes, config.length),
      pulledAtNs: this.#options.clock.nowNs(),
      diffIds: layers.map(({ diffId }) => diffId),
      tags,
      digests,
    }
  }

  #reload(): void {
    const images = this.#options.records.images().flatMap((image) => this.#recordOf(image) ?? [])
    this.#images = new Map(images.map((image) => [image.id, image]))
    this.#idOfName = new Map(
      images.flatMap(({ id, tags, digests }) => [...tags, ...digests].map((name) => [name, id] as const)),
    )
    for (const id of this.#configs.keys()) if (!this.#images.has(id)) this.#configs.delete(id)
  }

  #configOf({ id, config }: StoredImage): ParsedImageConfig | undefined {
    try {
      const parsed = this.#configs.get(id) ?? parseImageConfig(config, `image ${id}`)
      this.#configs.set(id, parsed)
      return parsed
    } catch (error) {
      this.#options.log.error(
        { image: id, error: describeError(error) },
        'an image record is broken: removed',
      )
      this.#options.records.removeImage(id)
      return undefined
    }
  }

  /** Undefined for one that cannot be read: it is removed, and pulled again when it is wanted. */
  #recordOf(image: StoredImage): ImageRecord | undefined {
    const { id, tags, digests, sizeBytes, manifestDigest, diffIds, pulledAtNs } = image
    const parsed = this.#configOf(image)
    if (parsed === undefined) return undefined
    const pinned = this.#options.isPinned([...tags, ...digests])
    return {
      id,
      tags,
      digests,
      sizeBytes,
      config: parsed.config,
      platform: parsed.platform,
      manifestDigest,
      diffIds,
      pulledAtNs,
      pinned,
    }
  }
}

type Settled = { readonly layer: LayerSource } & (
  | { readonly claim: LayerClaim }
  | { readonly error: unknown }
)

const settle = (claim: Promise<LayerClaim>, layer: LayerSource): Promise<Settled> =>
  claim.then(
    (claim) => ({ layer, claim }),
    (error: unknown) => ({ layer, error }),
  )

async function releaseAll(claims: readonly LayerClaim[]): Promise<void> {
  await Promise.all(claims.map((claim) => claim.release()))
}

function checkLayers(source: ImageSource, { diffIds }: ParsedImageConfig, what: string): void {
  if (source.layers.length !== diffIds.length) {
    throw invalidArgument(
      `${what} has ${source.layers.length} layers, its config names ${diffIds.length}: the manifest and the config do not belong together`,
    )
  }
  const wrong = source.layers.findIndex(({ diffId }, index) => diffId !== diffIds[index])
  if (wrong >= 0) throw invalidArgument(`${what}: layer ${wrong} is not the one that its config names`)
}
