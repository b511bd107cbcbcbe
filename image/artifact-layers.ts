import { createHash } from 'node:crypto'
import { CriError } from '#lib/errors.ts'
import { ARTIFACT_PREFIX } from './image-records.ts'
import type { ArtifactBlob } from './manifest.ts'

/** What an artifact's blob becomes in the store: a layer with one file, or with the files of a tar. */
export type LayerForm =
  | { readonly kind: 'file'; readonly path: string; readonly sizeBytes: number }
  | { readonly kind: 'tar' }

export interface ArtifactLayer {
  readonly blob: ArtifactBlob
  /** In place of the diff id that a config would have: `artifact:` and 64 digits. No tar has that digest. */
  readonly diffId: string
  readonly form: LayerForm
}

/** Of overlayfs. */
const MOST_LAYERS = 400
const tarType = /\.tar(?:$|[+.])/
const tarName = /\.(?:tar(?:\.\w+)?|tgz)$/i

/**
 * The blobs of an artifact that show in a volume, those that hide others last: a tar with all its files, as CRI-O shows
 * it, another as the file that its title says; one without a title does not show. oras calls every file a tar, so that
 * one with the title of another kind of file is believed to be that. Throws failed-precondition, naming the blob.
 */
export function artifactLayers(blobs: readonly ArtifactBlob[]): readonly ArtifactLayer[] {
  const layers = blobs.flatMap((blob): readonly ArtifactLayer[] => {
    const isNamedSo = blob.title === '' || blob.isPacked || tarName.test(blob.title)
    if (tarType.test(blob.mediaType) && isNamedSo) return [layerOf(blob, { kind: 'tar' })]
    if (blob.title === '') return []
    return [layerOf(blob, { kind: 'file', path: safePath(blob), sizeBytes: blob.sizeBytes })]
  })
  if (layers.length === 0) {
    throw refused(
      `none of its ${blobs.length} blobs is a tar or has a name (the annotation org.opencontainers.image.title): there is nothing to mount`,
    )
  }
  if (layers.length > MOST_LAYERS)
    throw refused(
      `it has ${layers.length} files, ${MOST_LAYERS} at most can be mounted: pack them into a tar`,
    )
  return layers
}

function layerOf(blob: ArtifactBlob, form: LayerForm): ArtifactLayer {
  const hash = createHash('sha256').update(JSON.stringify([blob.digest, form]))
  return { blob, form, diffId: `${ARTIFACT_PREFIX}${hash.digest('hex')}` }
}

/** Below the root of the volume, and not what overlayfs takes for the sign of a deletion. */
function safePath({ title, digest }: ArtifactBlob): string {
  const parts = title.split('/')
  const isSafe = (part: string): boolean =>
    part !== '' && part !== '.' && part !== '..' && !part.startsWith('.wh.') && Buffer.byteLength(part) <= 255
  if (parts.every(isSafe) && !/\p{Cc}/u.test(title) && Buffer.byteLength(title) <= 4000) return title
  throw refused(
    `its blob ${digest} is named ${JSON.stringify(title.slice(0, 300))}, which is no path in a volume`,
  )
}

/** The caller puts the image's name before it. */
const refused = (why: string) =>
  new CriError('failed-precondition', `it is an artifact that cannot be mounted: ${why}`)
