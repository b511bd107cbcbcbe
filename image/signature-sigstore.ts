import { createHash, type KeyObject, X509Certificate as NodeCertificate } from 'node:crypto'
import { type Bundle, bundleFromJSON, type TransparencyLogEntry } from '@sigstore/bundle'
import { X509Certificate } from '@sigstore/core'
import { type SignedEntity, type TrustMaterial, toSignedEntity, Verifier } from '@sigstore/verify'
import { z } from 'zod'
import { parseUniqueJson } from './policy-json.ts'
import { isSignedBy } from './signature-keys.ts'
import type { FulcioTrust, SignatureTrust, SignedClaim } from './signature-verify.ts'

/*
 * Sigstore's own packages: certificates of Fulcio, entries of Rekor, bundles. All of it offline, by the keys and
 * certificates of the policy alone. Imported when a signature needs it.
 */

const CODE_SIGNING = '1.3.6.1.5.5.7.3.3'
const IN_TOTO = 'application/vnd.in-toto+json'
const BEGINNING = new Date(0)
const END = new Date(8.64e15)

interface AttachedSignature {
  readonly payload: Buffer
  readonly signature: Buffer
  readonly annotations: { readonly [name: string]: string }
}

/** Verifies a cosign signature that a log or a certificate vouches for. Throws Error that says why it is not good. */
export function verifyAttached(attached: AttachedSignature, trust: SignatureTrust): void {
  const entry = attachedEntry(attached.annotations)
  const content = {
    signature: attached.signature,
    compareSignature: (other: Buffer) => attached.signature.equals(other),
    compareDigest: (digest: Buffer) => sha256(attached.payload).equals(digest),
    compareSignedDigest: (digest: Buffer) => sha256(attached.payload).equals(digest),
    verifySignature: (key: KeyObject) => isSignedBy(key, attached.payload, attached.signature),
  }
  const timestamps = [{ $case: 'transparency-log' as const, tlogEntry: entry }]
  const entity = { signature: content, tlogEntries: [entry], timestamps }
  if (trust.fulcio === undefined) {
    verifyByKeys(entity, trust, (key) => requireLogged(entry, key.export({ type: 'spki', format: 'der' })))
    return
  }
  const pem = attached.annotations['dev.sigstore.cosign/certificate']
  if (pem === undefined) throw new Error('it has no annotation dev.sigstore.cosign/certificate')
  const certificate = X509Certificate.parse(pem)
  requireLogged(entry, new NodeCertificate(pem).raw)
  const chain = attached.annotations['dev.sigstore.cosign/chain'] ?? ''
  verifyByFulcio({ ...entity, key: { $case: 'certificate', certificate } }, pem, chain, trust.fulcio, trust)
}

const statementSchema = z.object({
  _type: z.string().startsWith('https://in-toto.io/Statement/v'),
  predicateType: z.literal('https://sigstore.dev/cosign/sign/v1'),
  subject: z
    .array(z.object({ name: z.string().optional(), digest: z.object({ sha256: z.string() }) }))
    .length(1),
})

/** Verifies a bundle, and answers what its statement says. Throws Error that says why it proves nothing. */
export function verifyBundle(text: string, trust: SignatureTrust): SignedClaim {
  const bundle = bundleFromJSON(parseUniqueJson(text))
  if (bundle.content.$case !== 'dsseEnvelope') {
    throw new Error(
      'its bundle holds a bare signature: only those with a statement (DSSE) say what they are for',
    )
  }
  const { payload, payloadType } = bundle.content.dsseEnvelope
  if (payloadType !== IN_TOTO) throw new Error(`its statement is of the type ${payloadType}, not ${IN_TOTO}`)
  verifyEntity(bundle, trust)
  const parsed = statementSchema.safeParse(parseUniqueJson(payload.toString()))
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new Error(
      `its statement is no signature of an image: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`,
    )
  }
  const [subject] = parsed.data.subject
  return { digest: `sha256:${subject?.digest.sha256 ?? ''}`, dockerReference: subject?.name || undefined }
}

function verifyEntity(bundle: Bundle, trust: SignatureTrust): void {
  const { signature, key, tlogEntries, timestamps } = toSignedEntity(bundle)
  // Of authorities that no policy names nothing is believed.
  const logged = timestamps.filter(({ $case }) => $case === 'transparency-log')
  const entity = { signature, tlogEntries: trust.rekorKeys.length > 0 ? tlogEntries : [], timestamps: logged }
  if (trust.fulcio === undefined) {
    verifyByKeys({ ...entity, timestamps: [] }, trust, () => {})
    return
  }
  const [leaf = '', ...chain] = certificatesOf(bundle)
  verifyByFulcio({ ...entity, key }, leaf, chain.join('\n'), trust.fulcio, trust)
}

/** In PEM, the signer's first. */
function certificatesOf({ verificationMaterial: { content } }: Bundle): string[] {
  if (content.$case === 'publicKey') throw new Error('it was made with a key: the policy wants a certificate')
  const found =
    content.$case === 'certificate' ? [content.certificate] : content.x509CertificateChain.certificates
  return found.map(({ rawBytes }) => new NodeCertificate(rawBytes).toString())
}

function verifyByKeys(
  entity: Omit<SignedEntity, 'key'>,
  trust: SignatureTrust,
  check: (key: KeyObject) => void,
): void {
  const failures: string[] = []
  for (const key of trust.keys) {
    try {
      const material = trustMaterial(trust, [], key)
      const verifier = new Verifier(material, thresholds(trust, 0))
      verifier.verify({ ...entity, key: { $case: 'public-key', hint: '' } })
      check(key)
      return
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error))
    }
  }
  throw new Error([...new Set(failures)].join(', '))
}

function verifyByFulcio(
  entity: SignedEntity,
  leafPem: string,
  chainPem: string,
  fulcio: FulcioTrust,
  trust: SignatureTrust,
): void {
  if (!(new NodeCertificate(leafPem).keyUsage ?? []).includes(CODE_SIGNING)) {
    throw new Error('its certificate is not for signing code')
  }
  const roots = fulcio.caCertificates.map((pem) => X509Certificate.parse(pem))
  const chain = [...roots, ...intermediates(chainPem, fulcio.caCertificates)]
  const verifier = new Verifier(trustMaterial(trust, chain, undefined), thresholds(trust, 1))
  const { identity } = verifier.verify(entity)
  const issuer = identity?.extensions?.issuer
  if (issuer !== fulcio.oidcIssuer) {
    throw new Error(
      `its certificate was issued to a user of ${issuer ?? 'nobody'}, not of ${fulcio.oidcIssuer}`,
    )
  }
  const email =
    entity.key.$case === 'certificate' ? entity.key.certificate.extSubjectAltName?.rfc822Name : undefined
  if (email !== fulcio.subjectEmail) {
    throw new Error(
      `its certificate is of ${email ?? 'nobody with an address'}, not of ${fulcio.subjectEmail}`,
    )
  }
}

/** Those of a chain that the authority itself has issued: nothing in it is trusted by itself. */
function intermediates(chainPem: string, rootPems: readonly string[]): X509Certificate[] {
  const trusted = rootPems.map((pem) => new NodeCertificate(pem))
  const found: X509Certificate[] = []
  const pems = chainPem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  for (const pem of pems.toReversed()) {
    const certificate = new NodeCertificate(pem)
    const isIssued = trusted.some(
      (issuer) => issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey),
    )
    if (!isIssued || !certificate.ca) continue
    trusted.push(certificate)
    found.push(X509Certificate.parse(pem))
  }
  return found
}

const thresholds = ({ rekorKeys }: SignatureTrust, timestampThreshold: number) => ({
  ctlogThreshold: 0,
  tlogThreshold: rekorKeys.length > 0 ? 1 : 0,
  timestampThreshold,
})

function trustMaterial(
  { rekorKeys }: SignatureTrust,
  certChain: X509Certificate[],
  key: KeyObject | undefined,
): TrustMaterial {
  const validFor = { start: BEGINNING, end: END }
  return {
    certificateAuthorities: certChain.length === 0 ? [] : [{ certChain, validFor }],
    timestampAuthorities: [],
    ctlogs: [],
    tlogs: rekorKeys.map((publicKey) => ({
      logID: sha256(publicKey.export({ type: 'spki', format: 'der' })),
      baseURL: '',
      publicKey,
      validFor,
    })),
    publicKey() {
      if (key === undefined) throw new Error('it was made with a key: the policy wants a certificate')
      return { publicKey: key, validFor: () => true }
    },
  }
}

const setSchema = z.strictObject({
  SignedEntryTimestamp: z.base64(),
  Payload: z.strictObject({
    body: z.base64(),
    integratedTime: z.int().positive(),
    logIndex: z.int().nonnegative(),
    logID: z.string().regex(/^[0-9a-f]{64}$/),
  }),
})

/** Rekor's promise to have logged it, in the form of cosign's annotation. */
function attachedEntry(annotations: AttachedSignature['annotations']): TransparencyLogEntry {
  const text = annotations['dev.sigstore.cosign/bundle']
  if (text === undefined)
    throw new Error('it has no annotation dev.sigstore.cosign/bundle: no log vouches for it')
  const { SignedEntryTimestamp, Payload } = setSchema.parse(parseUniqueJson(text))
  return {
    logIndex: String(Payload.logIndex),
    logId: { keyId: Buffer.from(Payload.logID, 'hex') },
    kindVersion: { kind: 'hashedrekord', version: '0.0.1' },
    integratedTime: String(Payload.integratedTime),
    inclusionPromise: { signedEntryTimestamp: Buffer.from(SignedEntryTimestamp, 'base64') },
    inclusionProof: undefined,
    canonicalizedBody: Buffer.from(Payload.body, 'base64'),
  }
}

const bodySchema = z.object({
  spec: z.object({ signature: z.object({ publicKey: z.object({ content: z.base64() }) }) }),
})

/** That the log has it with this key or certificate, and no other. */
function requireLogged({ canonicalizedBody }: TransparencyLogEntry, der: Buffer): void {
  const body = bodySchema.parse(JSON.parse(canonicalizedBody.toString()))
  const pem = Buffer.from(body.spec.signature.publicKey.content, 'base64').toString()
  const logged = Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64')
  if (!logged.equals(der)) throw new Error('the log has it with another key')
}

const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest()
