import { z } from 'zod'
import { parseUniqueJson } from './policy-json.ts'

/** What a signature of cosign's says: which manifest, and under which name. */
export interface SimpleSigning {
  /** `sha256:` and 64 digits. */
  readonly manifestDigest: string
  readonly dockerReference: string
}

const schema = z.strictObject({
  critical: z.strictObject({
    type: z.literal('cosign container image signature'),
    image: z.strictObject({ 'docker-manifest-digest': z.string().regex(/^sha256:[0-9a-f]{64}$/) }),
    identity: z.strictObject({ 'docker-reference': z.string().min(1) }),
  }),
  optional: z.record(z.string(), z.unknown()).nullable(),
})

/**
 * Reads a payload whose signature was verified (containers/image, docs/containers-signature.5; cosign writes
 * `optional: null`). Throws Error, saying what is wrong with it.
 */
export function parseSimpleSigning(payload: Buffer): SimpleSigning {
  const parsed = schema.safeParse(parseUniqueJson(payload.toString()))
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new Error(
      `its payload is not as it should be: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`,
    )
  }
  const { image, identity } = parsed.data.critical
  return { manifestDigest: image['docker-manifest-digest'], dockerReference: identity['docker-reference'] }
}
