import { z } from 'zod'
import { foreignJson } from './foreign-json.ts'
import type { Descriptor } from './manifest.ts'
import type { RegistrySession } from './registry-session.ts'
import type { FoundSignature, MissingSignature } from './signature-evidence.ts'

const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
const SIMPLE_SIGNING = 'application/vnd.dev.cosign.simplesigning.v1+json'
const BUNDLE = /^application\/vnd\.dev\.sigstore\.bundle(?:\.v0\.3\+json|\+json;version=0\.[123])$/
/** Those that a bundle's manifest may say that it holds; another kind of attestation is no signature of the image. */
const SIGN_PREDICATE = 'https://sigstore.dev/cosign/sign/v1'

/** Of each kind: what a stranger can make a node fetch for one image. */
const MOST_SIGNATURES = 32
const LARGEST_PAYLOAD_BYTES = 128 << 10
const LARGEST_BUNDLE_BYTES = 1 << 20

/**
 * All that the repository holds as signatures of a manifest, empty where it holds none; one that does not come hides no
 * other. Throws CriError when the signal aborts.
 */
export async function findSignatures(
  session: Pick<RegistrySession, 'attached' | 'config'>,
  digest: string,
  signal: AbortSignal,
): Promise<readonly Piece[]> {
  const pieces = await Promise.all([
    orMissing(`tag of ${digest}`, () => attachedSignatures(session, digest, signal), signal),
    orMissing(`referrers of ${digest}`, () => referringBundles(session, digest, signal), signal),
  ])
  return pieces.flat()
}

type Piece = FoundSignature | MissingSignature

async function orMissing<Found>(
  from: string,
  fetch: () => Promise<Found>,
  signal: AbortSignal,
): Promise<Found | MissingSignature> {
  try {
    return await fetch()
  } catch (error) {
    if (signal.aborted) throw error
    return { kind: 'missing', from, error }
  }
}

const MOST_DESCRIPTORS = 10_000
const descriptorSchema = z.object({
  mediaType: z.string(),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  size: z.int().nonnegative(),
  artifactType: z.string().optional(),
  annotations: z.record(z.string(), z.string()).nullish(),
})
const manifestSchema = z.object({
  layers: z.array(descriptorSchema).max(MOST_DESCRIPTORS),
  artifactType: z.string().optional(),
  config: z.object({ mediaType: z.string().optional() }).optional(),
})
const indexSchema = z.object({ manifests: z.array(descriptorSchema).max(MOST_DESCRIPTORS) })

/** Under the tag that cosign and containers/image give them. */
async function attachedSignatures(
  session: Pick<RegistrySession, 'attached' | 'config'>,
  digest: string,
  signal: AbortSignal,
): Promise<readonly Piece[]> {
  const found = await session.attached(`manifests/${digest.replace(':', '-')}.sig`, OCI_MANIFEST, signal)
  const manifest = manifestSchema.safeParse(found && foreignJson(found))
  if (!manifest.success) return []
  const layers = manifest.data.layers
    .filter(({ mediaType, size }) => mediaType === SIMPLE_SIGNING && size <= LARGEST_PAYLOAD_BYTES)
    .slice(0, MOST_SIGNATURES)
  const fetch = async (layer: (typeof layers)[number]): Promise<FoundSignature> => {
    const payload = await session.config(toDescriptor(layer), signal)
    return {
      kind: 'attached',
      from: layer.digest,
      payload: payload.toString('base64'),
      annotations: layer.annotations ?? {},
    }
  }
  return Promise.all(layers.map((layer) => orMissing(layer.digest, () => fetch(layer), signal)))
}

/** By the referrers API, or where the registry has none, the tag that stands for it (distribution-spec). */
async function referringBundles(
  session: Pick<RegistrySession, 'attached' | 'config'>,
  digest: string,
  signal: AbortSignal,
): Promise<readonly Piece[]> {
  const index =
    (await session.attached(`referrers/${digest}`, OCI_INDEX, signal)) ??
    (await session.attached(`manifests/${digest.replace(':', '-')}`, OCI_INDEX, signal))
  const parsed = indexSchema.safeParse(index && foreignJson(index))
  if (!parsed.success) return []
  const referrers = parsed.data.manifests.filter(isSignature).slice(0, MOST_SIGNATURES)
  const fetch = async (from: string): Promise<FoundSignature | undefined> => {
    const content = await session.attached(`manifests/${from}`, OCI_MANIFEST, signal)
    const manifest = manifestSchema.safeParse(content && foreignJson(content))
    const layer = manifest.success ? manifest.data.layers.find(isBundleLayer) : undefined
    if (layer === undefined) return undefined
    const bundle = await session.config(toDescriptor(layer), signal)
    return { kind: 'bundle', from, bundle: bundle.toString() }
  }
  const bundles = await Promise.all(
    referrers.map(({ digest: from }) => orMissing(from, () => fetch(from), signal)),
  )
  return bundles.filter((bundle) => bundle !== undefined)
}

const isBundleLayer = ({ mediaType, size }: z.infer<typeof descriptorSchema>): boolean =>
  BUNDLE.test(mediaType) && size <= LARGEST_BUNDLE_BYTES

/** Indexes that clients keep themselves may leave the type, and what it holds, to the manifest. */
function isSignature({ artifactType = '', annotations }: z.infer<typeof descriptorSchema>): boolean {
  const predicate = annotations?.['dev.sigstore.bundle.predicateType'] ?? SIGN_PREDICATE
  return (artifactType === '' || BUNDLE.test(artifactType)) && predicate === SIGN_PREDICATE
}

const toDescriptor = ({ mediaType, digest, size }: z.infer<typeof descriptorSchema>): Descriptor => ({
  mediaType,
  digest,
  sizeBytes: size,
})
