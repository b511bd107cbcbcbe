import type { KeyObject } from 'node:crypto'
import type { FoundSignature } from './signature-evidence.ts'
import { isSignedBy } from './signature-keys.ts'
import { parseSimpleSigning } from './signature-payload.ts'

/** Whom a requirement of a policy trusts. */
export interface SignatureTrust {
  /** Any of these, … */
  readonly keys: readonly KeyObject[]
  /** … or who has a certificate of this authority. */
  readonly fulcio: FulcioTrust | undefined
  /** Transparency logs, one of which has to have the signature; empty where none has to. */
  readonly rekorKeys: readonly KeyObject[]
}

export interface FulcioTrust {
  /** PEM. */
  readonly caCertificates: readonly string[]
  readonly oidcIssuer: string
  readonly subjectEmail: string
}

/** What a signature says, now that it is known who says it. */
export interface SignedClaim {
  /** Of the manifest or index: `sha256:` and 64 digits. */
  readonly digest: string
  /** The image that it is for; undefined where it names none, as bundles do. */
  readonly dockerReference: string | undefined
}

const SIGNATURE = 'dev.cosignproject.cosign/signature'

/** What was found, verified. Throws Error that says why it proves nothing. */
export async function verifySignature(found: FoundSignature, trust: SignatureTrust): Promise<SignedClaim> {
  if (found.kind === 'bundle') {
    const { verifyBundle } = await import('./signature-sigstore.ts')
    return verifyBundle(found.bundle, trust)
  }
  const payload = Buffer.from(found.payload, 'base64')
  const encoded = found.annotations[SIGNATURE]
  if (encoded === undefined) throw new Error(`it has no annotation ${SIGNATURE}`)
  const signature = Buffer.from(encoded, 'base64')
  if (trust.fulcio !== undefined || trust.rekorKeys.length > 0) {
    const { verifyAttached } = await import('./signature-sigstore.ts')
    verifyAttached({ payload, signature, annotations: found.annotations }, trust)
  } else if (!trust.keys.some((key) => isSignedBy(key, payload, signature))) {
    throw new Error('no key of the policy made it')
  }
  const { manifestDigest, dockerReference } = parseSimpleSigning(payload)
  return { digest: manifestDigest, dockerReference }
}
