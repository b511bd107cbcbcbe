import { createHash } from 'node:crypto'
import { statSync } from 'node:fs'
import { CriError, invalidArgument } from '#lib/errors.ts'
import { KeyedMutex } from '#lib/keyed-mutex.ts'
import type { Clock } from '#runtime/ports.ts'
import { type ParsedImageConfig, parseImageConfig } from './image-config.ts'
import type { StoredImage } from './image-records.ts'
import type {
  ImageFilesystemUsage,
  ImageRecord,
  ImageSource,
  ImageStore,
  ImageStoreUsage,
  LayerSource,
} from './image-source.ts'
import { KnownImages, type KnownImagesOptions } from './known-images.ts'
import type { LayerStore } from './layer-store.ts'
import type { LayerClaim } from './layer-store-options.ts'

export interface ImageStoreOptions extends KnownImagesOptions {
  /** The directory of the images, for `usage`. */
  readonly root: string
  /** That of what containers write. */
  readonly containersRoot: string
  /** What containers wrote there, as it was measured last. */
  readonly written: () => { readonly usedBytes: number; readonly usedInodes: number }
  readonly layers: Pick<LayerStore, 'claim' | 'commit' | 'collect'>
  /** See ImageStore. */
  readonly freed: () => Promise<void>
  /** See ImageStore. */
  readonly localNames: (reference: string) => readonly string[]
  readonly clock: Clock
}

/** The images of this machine. Lookups answer from memory. */
export class LocalImageStore implements ImageStore {
  readonly #options: ImageStoreOptions
  readonly #commits = new KeyedMutex()
  readonly #known: KnownImages

  constructor(options: ImageStoreOptions) {
    this.#options = options
    this.#known = new KnownImages(options)
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
      if (!this.#addNames(id, source)) {
        await this.#options.layers.commit(this.#imageOf(id, source, claims), signal)
      }
      this.#known.reload()
    } finally {
      await releaseAll(claims)
      this.#options.layers.collect() // What was removed while it was claimed.
    }
    return id
  }

  find(reference: string): ImageRecord | undefined {
    return this.#known.find(reference)
  }

  localNames(reference: string): readonly string[] {
    return this.#options.localNames(reference)
  }

  list(): readonly ImageRecord[] {
    return this.#known.list()
  }

  configOf(id: string): Buffer | undefined {
    const { records, additional } = this.#options
    return [...records.images(), ...additional.images].find((image) => image.id === id)?.config
  }

  async remove(reference: string): Promise<void> {
    const image = this.find(reference)
    if (image === undefined) return
    if (image.store !== undefined) throw notOurs(image.id, image.store)
    this.#options.records.removeImage(image.id)
    this.#known.reload()
    this.#options.layers.collect()
  }

  freed(): Promise<void> {
    return this.#options.freed()
  }

  /** After the records were changed by others. */
  refresh(): void {
    this.#known.reload()
  }

  /** Of each by itself, whether they lie on one file system or not. */
  usages(): ImageStoreUsage {
    const { records, root, containersRoot } = this.#options
    const own = records.layers().filter(({ directory }) => directory === undefined)
    return { images: added(root, own), containers: { path: containersRoot, ...this.#options.written() } }
  }

  async usage(): Promise<ImageStoreUsage> {
    const { root, containersRoot } = this.#options
    const { images, containers } = this.usages()
    if (statSync(root).dev !== statSync(containersRoot).dev) return { images, containers }
    const both = added(root, [images, containers])
    return { images: both, containers: both }
  }

  /** False when the image is not in our own store. */
  #addNames(id: string, { tags, digests }: ImageSource): boolean {
    if (!this.#known.isOwn(id)) return false
    this.#options.records.addNames(id, { tags, digests })
    this.#known.reload()
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

const added = (
  path: string,
  usages: readonly Omit<ImageFilesystemUsage, 'path'>[],
): ImageFilesystemUsage => ({
  path,
  usedBytes: usages.reduce((sum, { usedBytes }) => sum + usedBytes, 0),
  usedInodes: usages.reduce((sum, { usedInodes }) => sum + usedInodes, 0),
})

const notOurs = (id: string, store: string): CriError =>
  new CriError(
    'failed-precondition',
    `image ${id} lies in ${store}, which is only read: take that out of image.additional_stores to be rid of it`,
  )

function checkLayers(source: ImageSource, { diffIds }: ParsedImageConfig, what: string): void {
  if (source.layers.length !== diffIds.length) {
    throw invalidArgument(
      `${what} has ${source.layers.length} layers, its config names ${diffIds.length}: the manifest and the config do not belong together`,
    )
  }
  const wrong = source.layers.findIndex(({ diffId }, index) => diffId !== diffIds[index])
  if (wrong >= 0) throw invalidArgument(`${what}: layer ${wrong} is not the one that its config names`)
}
