import { z } from 'zod'
import { CriError } from '#lib/errors.ts'
import { foreignJson } from './foreign-json.ts'
import type { Platform } from './platform.ts'

/** A blob as a manifest names it (OCI image-spec, descriptor.md). */
export interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly sizeBytes: number
}

export interface IndexEntry extends Descriptor {
  readonly platform: Platform | undefined
}

export type Manifest =
  | { readonly kind: 'index'; readonly entries: readonly IndexEntry[] }
  | { readonly kind: 'image'; readonly config: Descriptor; readonly layers: readonly Descriptor[] }
  | {
      /** What is no image: it can be mounted, and not run. */
      readonly kind: 'artifact'
      readonly artifactType: string
      readonly blobs: readonly ArtifactBlob[]
    }

export interface ArtifactBlob extends Descriptor {
  /** The file's name; '' where it has none. */
  readonly title: string
  /** It is a tar of the directory that it is named after (oras). */
  readonly isPacked: boolean
}

const OCI = 'application/vnd.oci.image'
const DOCKER = 'application/vnd.docker.distribution.manifest'
const indexTypes = [`${OCI}.index.v1+json`, `${DOCKER}.list.v2+json`]
const imageTypes = [`${OCI}.manifest.v1+json`, `${DOCKER}.v2+json`]
const configTypes = [
  `${OCI}.config.v1+json`,
  'application/vnd.docker.container.image.v1+json',
  'application/octet-stream', // Docker before 1.10
]
const layerForm =
  /^application\/vnd\.(?:oci\.image\.layer\.v1\.tar(?:\+(?:gzip|zstd))?|docker\.image\.rootfs\.diff\.tar(?:\.(?:gzip|zstd))?)$/

/** The Accept header of a request for a manifest. */
export const acceptedManifests = [...imageTypes, ...indexTypes].join(', ')

/**
 * Reads a manifest or an index. `mediaType` is the descriptor's or the response's, '' where nobody says; what
 * the text itself says comes first. Throws failed-precondition for what cannot be run, each with its own sentence.
 */
export function parseManifest(content: Buffer, mediaType: string): Manifest {
  const json = foreignJson(content)
  const envelope = envelopeSchema.safeParse(json)
  if (!envelope.success) throw refused('its manifest is no JSON object')
  const { schemaVersion, mediaType: own, manifests, layers } = envelope.data
  const type = (own ?? mediaType.replace(/;.*$/s, '')).trim().toLowerCase()
  if (schemaVersion === 1 || /docker\.distribution\.manifest\.v1\+/.test(type)) {
    throw refused(
      'its manifest is of Docker schema 1, which is no longer run: push the image anew with any Docker since 1.10',
    )
  }
  const isIndex = indexTypes.includes(type) || (!imageTypes.includes(type) && manifests !== undefined)
  if (isIndex && layers !== undefined) {
    throw refused('its index has layers as well: it could be taken for two different images')
  }
  if (isIndex) return parseIndex(json)
  if (
    !imageTypes.includes(type) &&
    !/^(|application\/json|text\/plain|application\/octet-stream)$/.test(type)
  ) {
    throw refused(`its manifest is of the unknown media type ${shownType(type)}`)
  }
  return parseImage(json, manifests !== undefined)
}

const digestSchema = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'is not sha256: and 64 digits')
export const LARGEST_LAYER_COUNT = 1000
/** RFC 6838; it is shown. */
const mediaTypeSchema = z.string().regex(/^[\x20-\x7e]{0,255}$/, 'is no media type')
const descriptorSchema = z.object({
  mediaType: mediaTypeSchema,
  digest: digestSchema,
  size: z.int().nonnegative(),
})
/** Part of a platform; it is shown. */
export const platformText = z.string().regex(/^[\x20-\x7e]{0,100}$/, 'is no name of a platform')
const platformSchema = z.object({
  os: platformText,
  architecture: platformText,
  variant: platformText.default(''),
})
const envelopeSchema = z.object({
  schemaVersion: z.number().optional(),
  mediaType: z.string().optional(),
  manifests: z.unknown().optional(),
  layers: z.unknown().optional(),
})
const indexSchema = z.object({
  manifests: z.array(descriptorSchema.extend({ platform: platformSchema.optional() })).max(10_000),
})
const annotationsSchema = z.object({
  'org.opencontainers.image.title': z.string().optional(),
  'io.deis.oras.content.unpack': z.string().optional(),
})
const imageSchema = z.object({
  config: descriptorSchema,
  layers: z
    .array(descriptorSchema.extend({ annotations: annotationsSchema.nullish() }))
    .max(LARGEST_LAYER_COUNT),
  artifactType: mediaTypeSchema.nullish(),
})

function parseIndex(json: unknown): Manifest {
  const parsed = indexSchema.safeParse(json)
  if (!parsed.success) throw malformed('index', parsed.error)
  const entries = parsed.data.manifests.map(({ platform, ...descriptor }) => {
    return { ...toDescriptor(descriptor), platform }
  })
  return { kind: 'index', entries }
}

function parseImage(json: unknown, hasManifests: boolean): Manifest {
  if (hasManifests)
    throw refused('its manifest has manifests as well: it could be taken for two different images')
  const parsed = imageSchema.safeParse(json)
  if (!parsed.success) throw malformed('manifest', parsed.error)
  const config = toDescriptor(parsed.data.config)
  const artifactType = parsed.data.artifactType ?? ''
  if (artifactType !== '' || !configTypes.includes(config.mediaType)) {
    const blobs = parsed.data.layers.map((layer) => ({
      ...toDescriptor(layer),
      title: layer.annotations?.['org.opencontainers.image.title'] ?? '',
      isPacked: layer.annotations?.['io.deis.oras.content.unpack'] === 'true',
    }))
    return { kind: 'artifact', artifactType: artifactType || config.mediaType, blobs }
  }
  const layers = parsed.data.layers.map(toDescriptor)
  for (const { mediaType } of layers) checkLayerType(mediaType)
  return { kind: 'image', config, layers }
}

function checkLayerType(mediaType: string): void {
  if (layerForm.test(mediaType)) return
  if (/nondistributable|foreign/.test(mediaType)) {
    throw refused(
      `it has a foreign layer (${mediaType}), which its registry does not hold: only Windows images have them`,
    )
  }
  if (mediaType.endsWith('+encrypted')) {
    throw refused(`it has an encrypted layer (${mediaType}), which cannot be decrypted here`)
  }
  throw refused(
    `it has a layer of the unknown media type ${mediaType}: a tar, plain or by gzip or zstd, is known`,
  )
}

/** A foreign text goes into logs and terminals. */
const shownType = (type: string): string => type.replace(/\p{C}/gu, '').slice(0, 255)

const toDescriptor = ({ mediaType, digest, size }: z.infer<typeof descriptorSchema>): Descriptor => ({
  mediaType,
  digest,
  sizeBytes: size,
})

function malformed(what: string, error: z.ZodError) {
  const [issue] = error.issues
  return refused(`its ${what} is malformed: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`)
}

/** The caller puts the image's name before it. */
const refused = (why: string) => new CriError('failed-precondition', why)
