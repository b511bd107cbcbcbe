import { invalidArgument } from '#lib/errors.ts'
import type { ImageSource, ImageStore } from './image-source.ts'
import { type Archive, openArchive } from './import-archive.ts'
import { dockerImages } from './import-docker.ts'
import { ociImages } from './import-oci.ts'
import { hostPlatform, type Platform } from './platform.ts'
import { parseReference } from './reference.ts'

export interface ImportOptions {
  /** In place of the names in the archive, which then has to hold one image. */
  readonly name?: string
  /** Where a compressed archive is unpacked meanwhile. */
  readonly temporaryDirectory: string
  /** Images for others are refused, the first is best; by default the host's. */
  readonly platforms?: readonly Platform[]
}

export interface ImportedImage {
  readonly id: string
  readonly tags: readonly string[]
}

/**
 * Brings the images of an archive into the store: an OCI image layout or what `docker save` writes, in a tar,
 * plain or compressed. Every digest is verified. Throws invalid-argument or failed-precondition that names
 * the archive and what is wrong with it.
 */
export async function importImages(
  store: Pick<ImageStore, 'add'>,
  path: string,
  options: ImportOptions,
  signal: AbortSignal,
): Promise<readonly ImportedImage[]> {
  await using archive = await openArchive(path, options.temporaryDirectory, signal)
  const platforms = options.platforms ?? [hostPlatform()]
  const images = named(await imagesIn(archive, platforms, signal), options.name, path)
  const imported: ImportedImage[] = []
  for (const image of images) imported.push({ id: await store.add(image, signal), tags: image.tags })
  return imported
}

/** Newer versions of `docker save` write both forms: the OCI one says more. */
async function imagesIn(
  archive: Archive,
  platforms: readonly Platform[],
  signal: AbortSignal,
): Promise<readonly ImageSource[]> {
  if (archive.has('index.json')) return await ociImages(archive, platforms)
  if (archive.has('manifest.json')) return await dockerImages(archive, platforms, signal)
  throw invalidArgument(
    `${archive.path} holds no image: it has neither index.json (an OCI layout) nor manifest.json (docker save)`,
  )
}

function named(
  images: readonly ImageSource[],
  name: string | undefined,
  path: string,
): readonly ImageSource[] {
  if (images.length === 0) throw invalidArgument(`${path} holds no image`)
  if (name === undefined) return images
  const { tagged } = parseReference(name)
  if (tagged === undefined) throw invalidArgument(`${name} is a digest: an archive's image gets a tag`)
  if (images.length > 1) {
    throw invalidArgument(`${path} holds ${images.length} images: leave their names to the archive`)
  }
  return images.map((image) => ({ ...image, tags: [tagged], digests: [] }))
}
