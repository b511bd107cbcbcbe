import { createHash } from 'node:crypto'
import { z } from 'zod'
import { CriError, invalidArgument } from '#lib/errors.ts'
import { foreignJson } from './foreign-json.ts'
import { parseImageConfig } from './image-config.ts'
import type { ImageSource } from './image-source.ts'
import type { Archive } from './import-archive.ts'
import { type Descriptor, type Manifest, parseManifest } from './manifest.ts'
import { describePlatform, describePlatforms, type Platform, suitability } from './platform.ts'
import { parseReference } from './reference.ts'

/** The images of an OCI image layout (image-spec, image-layout.md) that suit `platforms`. */
export async function ociImages(
  archive: Archive,
  platforms: readonly Platform[],
): Promise<readonly ImageSource[]> {
  const parsed = indexSchema.safeParse(foreignJson(await archive.read('index.json')))
  if (!parsed.success)
    throw invalidArgument(`index.json in archive ${archive.path} is not an OCI image index`)
  const found = await Promise.all(
    parsed.data.manifests.map(async ({ annotations, size, ...entry }) => {
      const top = { ...entry, sizeBytes: size }
      return await imageOf(archive, top, nameOf(archive, annotations), platforms)
    }),
  )
  const images = found.filter((image) => 'config' in image)
  if (images.length > 0 || found.length === 0) return merged(images)
  const offered = found.flatMap((other) => ('config' in other ? [] : other.platforms))
  throw new CriError(
    'failed-precondition',
    `archive ${archive.path} has no image for ${describePlatforms(platforms)}, it is for ${offered.join(', ')}`,
  )
}

const indexSchema = z.object({
  manifests: z
    .array(
      z.object({
        mediaType: z.string(),
        digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
        size: z.int().nonnegative(),
        annotations: z.record(z.string(), z.string()).optional(),
      }),
    )
    .max(10_000),
})
const INDEX_DEPTH = 3

interface Chosen {
  readonly descriptor: Descriptor
  readonly manifest: Manifest & { readonly kind: 'image' }
}

interface Unsuitable {
  readonly platforms: readonly string[]
}

/** A bare word in ref.name is a tag without a repository, which names nothing here. */
function nameOf(archive: Archive, annotations: Readonly<Record<string, string>> = {}) {
  const refName = annotations['org.opencontainers.image.ref.name']
  const name = annotations['io.containerd.image.name'] ?? (/[:/]/.test(refName ?? '') ? refName : undefined)
  if (name === undefined) return undefined
  try {
    return parseReference(name)
  } catch (cause) {
    throw invalidArgument(`archive ${archive.path} has an image of a broken name`, { cause })
  }
}

async function imageOf(
  archive: Archive,
  top: Descriptor,
  reference: ReturnType<typeof nameOf>,
  platforms: readonly Platform[],
): Promise<ImageSource | Unsuitable> {
  const chosen = await manifestFor(archive, top, platforms, INDEX_DEPTH)
  if ('platforms' in chosen) return chosen
  const { descriptor, manifest } = chosen
  const config = await readBlob(archive, manifest.config)
  const { diffIds, platform: built } = parseImageConfig(config, `an image in archive ${archive.path}`)
  if (built.architecture !== '' && suitability(built, platforms) === undefined) {
    return { platforms: [describePlatform(built)] }
  }
  return {
    config,
    manifestDigest: descriptor.digest,
    tags: reference?.tagged === undefined ? [] : [reference.tagged],
    digests: reference === undefined ? [] : [`${reference.name}@${top.digest}`],
    layers: manifest.layers.map(({ mediaType, digest, sizeBytes }, index) => ({
      mediaType,
      digest,
      sizeBytes,
      diffId: diffIds[index] ?? '',
      open: async (signal) => {
        checkSize(archive, digest, sizeBytes)
        return archive.stream(blobName(digest), signal)
      },
    })),
  }
}

/** Down through indexes to the manifest that suits best. */
async function manifestFor(
  archive: Archive,
  top: Descriptor,
  platforms: readonly Platform[],
  depth: number,
): Promise<Chosen | Unsuitable> {
  const manifest = parse(archive, await readBlob(archive, top), top)
  if (manifest.kind === 'image') return { descriptor: top, manifest }
  if (manifest.kind === 'artifact') {
    const what = `${top.digest} in archive ${archive.path} is an artifact (${manifest.artifactType})`
    throw new CriError('failed-precondition', `${what}: artifacts come from registries alone, pull it`)
  }
  if (depth === 0) throw invalidArgument(`archive ${archive.path} has an index in an index in an index`)
  const ranked = manifest.entries
    .map((entry) => ({
      entry,
      rank: entry.platform === undefined ? 99 : suitability(entry.platform, platforms),
    }))
    .filter(({ rank }) => rank !== undefined)
    .toSorted((a, b) => (a.rank ?? 0) - (b.rank ?? 0))
  const best = ranked[0]?.entry
  if (best !== undefined) return await manifestFor(archive, best, platforms, depth - 1)
  return {
    platforms: manifest.entries.flatMap(({ platform }) => (platform ? [describePlatform(platform)] : [])),
  }
}

function parse(archive: Archive, content: Buffer, { digest, mediaType }: Descriptor) {
  try {
    return parseManifest(content, mediaType)
  } catch (cause) {
    const kind = cause instanceof CriError ? cause.kind : 'internal'
    throw new CriError(kind, `${digest} in archive ${archive.path} cannot be used`, { cause })
  }
}

async function readBlob(archive: Archive, { digest }: Descriptor): Promise<Buffer> {
  const content = await archive.read(blobName(digest))
  const found = `sha256:${createHash('sha256').update(content).digest('hex')}`
  if (found === digest) return content
  throw new CriError(
    'failed-precondition',
    `${blobName(digest)} in archive ${archive.path} has the digest ${found}: it was damaged`,
  )
}

function checkSize(archive: Archive, digest: string, sizeBytes: number): void {
  const found = archive.sizeOf(blobName(digest))
  if (found === sizeBytes) return
  throw new CriError(
    'failed-precondition',
    `${blobName(digest)} in archive ${archive.path} has ${found} bytes, its manifest says ${sizeBytes}: it was damaged`,
  )
}

const blobName = (digest: string): string => `blobs/${digest.replace(':', '/')}`

/** One image under several names stands several times in the index. */
function merged(images: readonly ImageSource[]): readonly ImageSource[] {
  const byManifest = Map.groupBy(images, ({ manifestDigest }) => manifestDigest)
  return [...byManifest.values()].flatMap((same) => {
    const [first] = same
    if (first === undefined) return []
    const tags = same.flatMap((image) => image.tags)
    return [{ ...first, tags, digests: [...new Set(same.flatMap((image) => image.digests))] }]
  })
}
