import { createHash } from 'node:crypto'
import { CriError } from '#lib/errors.ts'
import { type ArchiveWriter, createArchive } from './export-archive.ts'
import type { PackCompression, PackedLayer } from './layer-pack.ts'
import type { UntarPool } from './untar-pool.ts'

/** An image that is here, as it is to be exported. */
export interface ExportedImage {
  readonly id: string
  /** The config blob as it came. */
  readonly config: Buffer
  readonly tags: readonly string[]
  /** Base first, with where they lie. */
  readonly layers: readonly { readonly diffId: string; readonly directory: string }[]
}

export interface ExportOptions {
  readonly format: 'oci' | 'docker'
  readonly compression: PackCompression
}

interface Blob {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

const OCI = 'application/vnd.oci.image'

/**
 * Writes images into an archive, an OCI image layout or what `docker load` reads. Layers are the very tars they came as,
 * so that ids stay. Throws failed-precondition, and leaves nothing, when a layer cannot be made again or the archive
 * cannot be written; an ordinary file at `path` is replaced at the end, and nothing else is.
 */
export async function exportImages(
  images: readonly ExportedImage[],
  path: string,
  { format, compression }: ExportOptions,
  pool: Pick<UntarPool, 'pack'>,
  signal: AbortSignal,
): Promise<void> {
  await using archive = await createArchive(path)
  const layers = new Map<string, PackedLayer & { readonly name: string }>()
  for (const { id, tags, layers: places } of images) {
    for (const place of places) {
      signal.throwIfAborted()
      if (layers.has(place.diffId)) continue
      layers.set(place.diffId, await placeLayer(place, `image ${tags[0] ?? id}`))
    }
  }
  const layersOf = (image: ExportedImage) => image.layers.flatMap(({ diffId }) => layers.get(diffId) ?? [])
  if (format === 'oci') await addLayout(archive, images, layersOf, compression)
  else await addDockerManifest(archive, images, layersOf)
  await archive.finish()

  function placeLayer({ diffId, directory }: ExportedImage['layers'][number], what: string) {
    return archive.place(async (file, offset) => {
      const packed = await pool
        .pack(directory, { path: file, offset, compression }, signal)
        .catch((cause: unknown) => {
          const kind = cause instanceof CriError ? cause.kind : 'internal'
          throw new CriError(
            kind === 'not-found' ? 'failed-precondition' : kind,
            `${what}: layer ${diffId} cannot be exported`,
            { cause },
          )
        })
      if (packed.diffId !== diffId) {
        throw new CriError(
          'failed-precondition',
          `${what}: layer ${diffId} was changed: its files make a tar of the digest ${packed.diffId}; remove the image and pull it again`,
        )
      }
      return { ...packed, name: format === 'oci' ? blobName(packed.digest) : `${hex(diffId)}/layer.tar` }
    })
  }
}

type LayersOf = (image: ExportedImage) => readonly (PackedLayer & { readonly name: string })[]

/** OCI image-spec, image-layout.md; named as containerd does, and as skopeo reads it. */
async function addLayout(
  archive: ArchiveWriter,
  images: readonly ExportedImage[],
  layersOf: LayersOf,
  compression: PackCompression,
): Promise<void> {
  const manifests: object[] = []
  const added = new Set<string>()
  const addBlob = async (mediaType: string, content: Buffer): Promise<Blob> => {
    const digest = digestOf(content)
    if (!added.has(digest)) await archive.add(blobName(digest), content)
    added.add(digest)
    return { mediaType, digest, size: content.length }
  }
  for (const image of images) {
    const config = await addBlob(`${OCI}.config.v1+json`, image.config)
    const layerType = `${OCI}.layer.v1.tar${compression === 'none' ? '' : `+${compression}`}`
    const layers = layersOf(image).map(({ digest, sizeBytes }) => ({
      mediaType: layerType,
      digest,
      size: sizeBytes,
    }))
    const mediaType = `${OCI}.manifest.v1+json`
    const manifest = await addBlob(mediaType, jsonOf({ schemaVersion: 2, mediaType, config, layers }))
    const names = image.tags.map((tag) => ({
      annotations: {
        'io.containerd.image.name': tag,
        'org.opencontainers.image.ref.name': tag.slice(tag.lastIndexOf(':') + 1),
      },
    }))
    for (const name of names.length > 0 ? names : [{}]) manifests.push({ ...manifest, ...name })
  }
  await archive.add('index.json', jsonOf({ schemaVersion: 2, mediaType: `${OCI}.index.v1+json`, manifests }))
  await archive.add('oci-layout', jsonOf({ imageLayoutVersion: '1.0.0' }))
}

/** Docker image specification 1.2, manifest.json. */
async function addDockerManifest(
  archive: ArchiveWriter,
  images: readonly ExportedImage[],
  layersOf: LayersOf,
): Promise<void> {
  const manifest: object[] = []
  for (const image of images) {
    const config = `${hex(image.id)}.json`
    await archive.add(config, image.config)
    manifest.push({ Config: config, RepoTags: image.tags, Layers: layersOf(image).map(({ name }) => name) })
  }
  await archive.add('manifest.json', jsonOf(manifest))
}

const digestOf = (content: Buffer): string => `sha256:${createHash('sha256').update(content).digest('hex')}`
const blobName = (digest: string): string => `blobs/${digest.replace(':', '/')}`
const hex = (digest: string): string => digest.slice('sha256:'.length)
const jsonOf = (value: object): Buffer => Buffer.from(JSON.stringify(value))
