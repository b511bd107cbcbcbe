import { resolve } from 'node:path'
import { z } from 'zod'
import { durationMs } from '#lib/duration.ts'
import { path, says } from './key-meta.ts'

/** The keys of [image] that say which images may be used. */
export const trustKeys = {
  signature_policy: path
    .optional()
    .meta(
      says(
        'Which images may be used, and whose signature they need, in the format of containers-policy.json(5); read anew for each image that is pulled or run. A file that cannot be read refuses all.',
        'an absolute path',
        '/etc/containers/policy.json if that is there, else any image may be used',
      ),
    ),
  signature_policy_dir: path
    .default('/etc/cri-ts/policies')
    .meta(
      says(
        'Where policies of namespaces lie: NAMESPACE.json, in place of signature_policy, for its pods.',
        'an absolute path',
      ),
    ),
  unnamed_signatures: z
    .boolean()
    .default(false)
    .meta(
      says(
        'Whether a signature that names no image, as the bundles of cosign 3 do, satisfies a signedIdentity of matchRepository: then who may push to one repository can put there what was signed for another.',
        'true or false',
      ),
    ),
  verifiers_dir: path
    .optional()
    .meta(
      says(
        "Programs that are asked about each image that is pulled, in the order of their names, as containerd's image verifiers: each has to end with exit code 0.",
        'an absolute path',
        'none',
      ),
    ),
  verifier_timeout: z
    .string()
    .refine((value) => (durationMs(value) ?? 0) > 0)
    .default('10s')
    .meta(
      says(
        'How long each of them may take; one that takes longer is killed, and the image refused.',
        'a duration in h, m, s and ms above 0, such as "10s"',
      ),
    ),
  max_verifiers: z
    .int()
    .min(0)
    .max(1000)
    .default(10)
    .meta(
      says('How many there may be; with more of them every image is refused.', 'a number from 0 to 1000'),
    ),
}

export interface TrustSettings {
  /** Undefined: /etc/containers/policy.json, if it is there. */
  readonly signaturePolicy: string | undefined
  readonly signaturePolicyDir: string
  readonly unnamedSignatures: boolean
  /** Undefined: there are none. */
  readonly verifiersDir: string | undefined
  readonly verifierTimeoutMs: number
  readonly maxVerifiers: number
}

const table = z.strictObject(trustKeys)

export const trustSettings = (file: z.infer<typeof table>): TrustSettings => ({
  signaturePolicy: file.signature_policy && resolve(file.signature_policy),
  signaturePolicyDir: resolve(file.signature_policy_dir),
  unnamedSignatures: file.unnamed_signatures,
  verifiersDir: file.verifiers_dir && resolve(file.verifiers_dir),
  verifierTimeoutMs: durationMs(file.verifier_timeout) ?? 0,
  maxVerifiers: file.max_verifiers,
})
