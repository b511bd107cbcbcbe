import { z } from 'zod'
import { parseReference } from './reference.ts'

/**
 * containers-policy.json(5), as strict as containers/image reads it: an unknown key refuses the whole file. What this
 * project does not verify (`signedBy`, `signedBaseLayer`, `pki`) is read, and fails where it applies.
 */
const text = z.string().min(1)
const base64 = z
  .string()
  .refine(
    (value) => value !== '' && Buffer.from(value, 'base64').toString('base64') === value,
    'is not base64',
  )
const texts = z.array(text).nonempty()
const datas = z.array(base64).nonempty()

const isReference = (value: string): boolean => {
  try {
    parseReference(value)
    return true
  } catch {
    return false
  }
}
/** Whether a tag or a digest is written in a reference. */
export const isExact = (reference: string): boolean =>
  reference.includes('@') || reference.slice(reference.lastIndexOf('/') + 1).includes(':')

const reference = text.refine(isReference, 'is no image reference')
const prefix = text.refine(
  (value) => isReference(`${value}/x`) && (value.includes('/') ? !isExact(value) : !value.includes('@')),
  'is no host[:port], namespace or repository in full',
)

const identity = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('matchExact') }),
  z.strictObject({ type: z.literal('matchRepoDigestOrExact') }),
  z.strictObject({ type: z.literal('matchRepository') }),
  z.strictObject({
    type: z.literal('exactReference'),
    dockerReference: reference.refine(isExact, 'has neither a tag nor a digest'),
  }),
  z.strictObject({ type: z.literal('exactRepository'), dockerRepository: reference }),
  z.strictObject({ type: z.literal('remapIdentity'), prefix, signedPrefix: prefix }),
])

const oneOf = (keys: readonly string[]) => (value: object) => keys.filter((key) => key in value).length === 1
const atMostOne = (keys: readonly string[]) => (value: object) =>
  keys.filter((key) => key in value).length <= 1

const fulcio = z
  .strictObject({
    caPath: text.optional(),
    caData: base64.optional(),
    oidcIssuer: text,
    subjectEmail: text,
  })
  .refine(oneOf(['caPath', 'caData']), 'needs either caPath or caData')

const KEY_SOURCES = ['keyPath', 'keyPaths', 'keyData', 'keyDatas', 'fulcio', 'pki']
const REKOR_KEYS = ['rekorPublicKeyPath', 'rekorPublicKeyPaths', 'rekorPublicKeyData', 'rekorPublicKeyDatas']

const sigstoreSigned = z
  .strictObject({
    type: z.literal('sigstoreSigned'),
    keyPath: text.optional(),
    keyPaths: texts.optional(),
    keyData: base64.optional(),
    keyDatas: datas.optional(),
    fulcio: fulcio.optional(),
    pki: z.looseObject({}).optional(),
    rekorPublicKeyPath: text.optional(),
    rekorPublicKeyPaths: texts.optional(),
    rekorPublicKeyData: base64.optional(),
    rekorPublicKeyDatas: datas.optional(),
    signedIdentity: identity.default({ type: 'matchRepoDigestOrExact' }),
  })
  .refine(oneOf(KEY_SOURCES), `needs exactly one of ${KEY_SOURCES.join(', ')}`)
  .refine(atMostOne(REKOR_KEYS), `has more than one of ${REKOR_KEYS.join(', ')}`)
  .refine(
    (value) => !('fulcio' in value) || oneOf(REKOR_KEYS)(value),
    'has fulcio, and needs a rekorPublicKey… with it, which says when a certificate was used',
  )

const signedBy = z.strictObject({
  type: z.literal('signedBy'),
  keyType: text.optional(),
  keyPath: text.optional(),
  keyPaths: texts.optional(),
  keyData: base64.optional(),
  signedIdentity: identity.optional(),
})

const requirement = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('reject') }),
  z.strictObject({ type: z.literal('insecureAcceptAnything') }),
  sigstoreSigned,
  signedBy,
  z.strictObject({ type: z.literal('signedBaseLayer'), baseLayerIdentity: identity }),
])
const requirements = z.array(requirement).nonempty()

export const policySchema = z.strictObject({
  default: requirements,
  transports: z.record(z.string(), z.record(z.string(), requirements)).optional(),
})

export type PolicyFile = z.infer<typeof policySchema>
export type PolicyRequirement = z.infer<typeof requirement>
export type SigstoreSigned = z.infer<typeof sigstoreSigned>
export type SignedIdentity = z.infer<typeof identity>
