import { createHash } from 'node:crypto'
import { z } from 'zod'
import { CriError, invalidArgument } from '#lib/errors.ts'
import { foreignJson } from './foreign-json.ts'
import { parseImageConfig } from './image-config.ts'
import type { ImageSource, LayerSource } from './image-source.ts'
import type { Archive } from './import-archive.ts'
import { createDecoder } from './layer-decoder.ts'
import { LARGEST_LAYER_COUNT } from './manifest.ts'
import { describePlatform, describePlatforms, type Platform, suitability } from './platform.ts'
import { parseReference } from './reference.ts'

const MOST_IMAGES = 10_000
const schema = z
  .array(
    z.object({
      Config: z.string(),
      RepoTags: z.array(z.string()).max(MOST_IMAGES).nullish(),
      Layers: z.array(z.string()).max(LARGEST_LAYER_COUNT).nullish(),
    }),
  )
  .max(MOST_IMAGES)

/** The images of what `docker save` writes (Docker image specification 1.2, manifest.json). */
export async function dockerImages(
  archive: Archive,
  platforms: readonly Platform[],
  signal: AbortSignal,
): Promise<readonly ImageSource[]> {
  const parsed = schema.safeParse(foreignJson(await archive.read('manifest.json')))
  if (!parsed.success) throw invalidArgument(`manifest.json in archive ${archive.path} is not docker save's`)
  const images: ImageSource[] = []
  for (const { Config, RepoTags, Layers } of parsed.data) {
    const config = await archive.read(Config)
    const what = `an image in archive ${archive.path}`
    const { diffIds, platform: built } = parseImageConfig(config, what)
    if (built.architecture !== '' && suitability(built, platforms) === undefined) {
      throw new CriError(
        'failed-precondition',
        `${what} is for ${describePlatform(built)}, only ${describePlatforms(platforms)} are run here`,
      )
    }
    const names = Layers ?? []
    if (names.length !== diffIds.length) {
      throw invalidArgument(`${what} has ${names.length} layers, its config names ${diffIds.length}`)
    }
    images.push({
      config,
      manifestDigest: undefined,
      // One with a digest proves nothing here, and would answer to it.
      tags: (RepoTags ?? []).flatMap((tag) => parseReference(tag).tagged ?? []),
      digests: [],
      layers: await Array.fromAsync(names, (name, index) =>
        layerOf(archive, name, diffIds[index] ?? '', signal),
      ),
    })
  }
  return images
}

/** Its digest is nowhere said: a plain tar's is the diff id, another's is worked out. */
async function layerOf(
  archive: Archive,
  name: string,
  diffId: string,
  signal: AbortSignal,
): Promise<LayerSource> {
  const sizeBytes = archive.sizeOf(name)
  const open = async (stop: AbortSignal) => archive.stream(name, stop)
  const digest = (await isCompressed(archive, name, signal)) ? await digestOf(await open(signal)) : diffId
  return { digest, diffId, sizeBytes, open, mediaType: 'application/vnd.docker.image.rootfs.diff.tar' }
}

async function isCompressed(archive: Archive, name: string, signal: AbortSignal): Promise<boolean> {
  for await (const piece of archive.stream(name, signal)) return createDecoder(piece) !== undefined
  return false
}

async function digestOf(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of pieces) hash.update(piece)
  return `sha256:${hash.digest('hex')}`
}
