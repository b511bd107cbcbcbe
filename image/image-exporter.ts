import { CriError } from '#lib/errors.ts'
import type { AdditionalStores } from './additional-stores.ts'
import { type ExportedImage, type ExportOptions, exportImages } from './export.ts'
import { findImage, type LocalImages } from './find-image.ts'
import type { ImageRecords } from './image-records.ts'
import type { LayerStore } from './layer-store.ts'
import type { LayerClaim } from './layer-store-options.ts'
import { isImageId } from './reference.ts'
import type { UntarPool } from './untar-pool.ts'

export interface ImageExporterOptions {
  readonly store: LocalImages
  readonly records: ImageRecords
  readonly additional: Pick<AdditionalStores, 'images'>
  readonly layers: Pick<LayerStore, 'claim' | 'adopt' | 'path'>
  readonly pool: Pick<UntarPool, 'pack'>
}

export interface ImageExporter {
  /**
   * Writes images, each by a name (under which it is exported), or by its id (under all its names), into an archive at
   * an absolute path. Throws not-found for an image that is not here, else as exportImages.
   */
  export(
    references: readonly string[],
    path: string,
    options: ExportOptions,
    signal: AbortSignal,
  ): Promise<readonly Pick<ExportedImage, 'id' | 'tags'>[]>
}

export function imageExporter({
  store,
  records,
  additional,
  layers,
  pool,
}: ImageExporterOptions): ImageExporter {
  function named(reference: string): Omit<ExportedImage, 'layers'> & { readonly diffIds: readonly string[] } {
    const found = findImage(store, reference)
    const stored = [...records.images(), ...additional.images].find(({ id }) => id === found?.id)
    if (stored === undefined) {
      throw new CriError(
        'not-found',
        `image ${reference} is not here: \`cri-ts images ls\` lists those that are`,
      )
    }
    if (found?.artifactType !== undefined) {
      throw new CriError(
        'failed-precondition',
        `image ${reference} is an OCI artifact (${found.artifactType}): only images are exported`,
      )
    }
    const names = isImageId(reference) ? [] : store.localNames(reference)
    const asked = names.filter((name) => stored.tags.includes(name))
    const { id, config, tags, diffIds } = stored
    return { id, config, diffIds, tags: asked.length > 0 ? asked.slice(0, 1) : tags }
  }

  function place(diffId: string): ExportedImage['layers'][number] {
    const layer = records.layer(diffId) ?? layers.adopt([diffId])[0]
    if (layer === undefined) throw new CriError('not-found', `layer ${diffId} is no longer here`)
    return { diffId, directory: layers.path(layer) }
  }

  /** It is here: nothing is to be opened. */
  function hold(diffId: string, signal: AbortSignal): Promise<LayerClaim> {
    const open = async () => {
      throw new CriError('not-found', `layer ${diffId} is no longer here`)
    }
    return layers.claim({ digest: diffId, diffId, mediaType: '', sizeBytes: undefined, open }, signal)
  }

  return {
    async export(references, path, options, signal) {
      const images = merged(references.map(named))
      const claims = [...new Set(images.flatMap(({ diffIds }) => diffIds))].map((diffId) =>
        hold(diffId, signal),
      )
      try {
        await Promise.all(claims)
        const whole = images.map(({ diffIds, ...image }) => ({ ...image, layers: diffIds.map(place) }))
        await exportImages(whole, path, options, pool, signal)
      } finally {
        for (const claim of await Promise.allSettled(claims)) {
          if (claim.status === 'fulfilled') await claim.value.release()
        }
      }
      return images
    },
  }
}

/** An image that was asked for by several names is there once. */
function merged<Image extends { readonly id: string; readonly tags: readonly string[] }>(
  images: readonly Image[],
): readonly Image[] {
  const byId = Map.groupBy(images, ({ id }) => id)
  return [...byId.values()].flatMap((same) => {
    const [first] = same
    return first === undefined ? [] : [{ ...first, tags: [...new Set(same.flatMap(({ tags }) => tags))] }]
  })
}
