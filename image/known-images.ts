import { describeError, invalidArgument } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import type { AdditionalStores } from './additional-stores.ts'
import { type ParsedImageConfig, parseImageConfig } from './image-config.ts'
import type { ImageRecords, StoredImage } from './image-records.ts'
import type { ImageRecord } from './image-source.ts'

export interface KnownImagesOptions {
  readonly records: ImageRecords
  readonly additional: Pick<AdditionalStores, 'images'>
  readonly log: Log
  /** Whether an image of these tags and digests is kept from kubelet's garbage collection. */
  readonly isPinned: (names: readonly string[]) => boolean
}

const SHORTEST_ID = 3

/** The images of the records and of additional stores, in memory. */
export class KnownImages {
  readonly #options: KnownImagesOptions
  readonly #configs = new Map<string, ParsedImageConfig>()
  #images: ReadonlyMap<string, ImageRecord> = new Map()
  /** The ids of those that are not of an additional store. */
  #own: ReadonlySet<string> = new Set()
  #idOfName: ReadonlyMap<string, string> = new Map()

  constructor(options: KnownImagesOptions) {
    this.#options = options
    this.reload()
  }

  isOwn(id: string): boolean {
    return this.#own.has(id)
  }

  /** See ImageStore. */
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

  list(): readonly ImageRecord[] {
    return [...this.#images.values()]
  }

  /** After each change of the records. */
  reload(): void {
    const own = this.#options.records.images().flatMap((image) => this.#recordOf(image) ?? [])
    this.#own = new Set(own.map(({ id }) => id))
    const images = [...own, ...this.#additional(own)]
    this.#images = new Map(images.map((image) => [image.id, image]))
    this.#idOfName = new Map(
      images.flatMap(({ id, tags, digests }) => [...tags, ...digests].map((name) => [name, id] as const)),
    )
    for (const id of this.#configs.keys()) if (!this.#images.has(id)) this.#configs.delete(id)
  }

  /** A name that a pull has moved is no longer theirs. Kubelet would gain nothing by removing them: they are pinned. */
  #additional(own: readonly ImageRecord[]): readonly ImageRecord[] {
    const taken = new Set(own.flatMap(({ id, tags, digests }) => [id, ...tags, ...digests]))
    return this.#options.additional.images.flatMap((image) => {
      const record = taken.has(image.id) ? undefined : this.#recordOf(image)
      if (record === undefined) return []
      const free = (names: readonly string[]): readonly string[] => names.filter((name) => !taken.has(name))
      const theirs = { ...record, tags: free(image.tags), digests: free(image.digests) }
      for (const name of [image.id, ...theirs.tags, ...theirs.digests]) taken.add(name)
      return [{ ...theirs, pinned: true, store: image.store }]
    })
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
      artifactType: parsed.artifactType,
      manifestDigest,
      diffIds,
      ...(image.stack === undefined ? {} : { stack: image.stack }),
      pulledAtNs,
      pinned,
    }
  }
}
