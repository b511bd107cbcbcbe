import { z } from 'zod'

/**
 * What a registry holds that may prove something of an image: kept with the image's record, so that it can be looked
 * at again without the registry. None of it is to be trusted before it is verified.
 */
export interface SignatureEvidence {
  /** The digests that a signature may be for: of the index, if there is one, and of the manifest of this platform. */
  readonly digests: readonly string[]
  readonly signatures: readonly FoundSignature[]
  /** Where it was just fetched. */
  readonly missing?: readonly MissingSignature[]
}

/** What the registry should have, and does not give. */
export interface MissingSignature {
  readonly kind: 'missing'
  readonly from: string
  readonly error: unknown
}

export type FoundSignature =
  | {
      /** A layer of cosign's `sha256-….sig`. */
      readonly kind: 'attached'
      /** Its digest, for messages. */
      readonly from: string
      /** The signed bytes, in base64. */
      readonly payload: string
      readonly annotations: { readonly [name: string]: string }
    }
  | {
      /** A referrer with a sigstore bundle. */
      readonly kind: 'bundle'
      readonly from: string
      /** Its JSON. */
      readonly bundle: string
    }

const schema = z.object({
  digests: z.array(z.string()),
  signatures: z.array(
    z.discriminatedUnion('kind', [
      z.object({
        kind: z.literal('attached'),
        from: z.string(),
        payload: z.string(),
        annotations: z.record(z.string(), z.string()),
      }),
      z.object({ kind: z.literal('bundle'), from: z.string(), bundle: z.string() }),
    ]),
  ),
})

/** As it was written down; undefined where that cannot be read. */
export function parseEvidence(text: string): SignatureEvidence | undefined {
  try {
    return schema.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}
