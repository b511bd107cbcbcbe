import { describeError } from '#lib/errors.ts'
import type { Policy, PolicyFiles, PolicyRule } from './policy-file.ts'
import { refusal } from './policy-refusal.ts'
import type { PolicyRequirement, SigstoreSigned } from './policy-schema.ts'
import type { Reference } from './reference.ts'
import type { FoundSignature, SignatureEvidence } from './signature-evidence.ts'
import { identityMismatch } from './signature-identity.ts'
import { readMaterial, readPublicKeys } from './signature-keys.ts'
import { type SignatureTrust, verifySignature } from './signature-verify.ts'

export interface ImagePolicy {
  /**
   * What applies to an image that a pod of the namespace ('' for none) wants by a reference, or that has no name;
   * undefined where nothing does. Throws unverified for what is refused whatever is signed, naming the rule.
   */
  of(reference: Reference | undefined, namespace: string): Promise<AppliedPolicy | undefined>
}

export interface AppliedPolicy {
  readonly file: string
  /** Of the file. */
  readonly digest: string
  readonly needsSignatures: boolean
  /** Throws unverified, naming the rule that is not satisfied and why no signature does. */
  check(evidence: SignatureEvidence): Promise<void>
}

export interface ImagePolicyOptions {
  readonly files: PolicyFiles
  /** Whether a signature that names no image counts as one for the repository that it lies in: cosign's bundles name none. */
  readonly acceptUnnamed: boolean
}

export function imagePolicy({ files, acceptUnnamed }: ImagePolicyOptions): ImagePolicy {
  return {
    async of(reference, namespace) {
      const policy = await files.of(namespace)
      if (policy === undefined) return undefined
      const rules = policy.rulesFor(reference)
      for (const rule of rules) {
        const why = refusedOutright(rule.requirement, reference)
        if (why !== undefined) throw refusedBy(policy, rule, reference, why)
      }
      const signed = rules.flatMap((rule) =>
        rule.requirement.type === 'sigstoreSigned' ? [{ ...rule, requirement: rule.requirement }] : [],
      )
      return {
        file: policy.file,
        digest: policy.digest,
        needsSignatures: signed.length > 0,
        async check(evidence) {
          for (const rule of signed) {
            const why = await unsatisfied(rule, reference, evidence, acceptUnnamed)
            if (why !== undefined) throw refusedBy(policy, rule, reference, why)
          }
        },
      }
    },
  }
}

const refusedBy = (
  { file }: Policy,
  { at, requirement }: PolicyRule,
  reference: Reference | undefined,
  why: string,
) => refusal(`${shown(reference)} is refused by ${file}, ${at} (${requirement.type}): ${why}`)

const shown = (reference: Reference | undefined): string =>
  reference === undefined
    ? 'an image without a name'
    : (reference.tagged ?? reference.canonical ?? reference.name)

/** Undefined for what depends on signatures, or accepts all. */
function refusedOutright(
  requirement: PolicyRequirement,
  reference: Reference | undefined,
): string | undefined {
  switch (requirement.type) {
    case 'reject':
      return 'it rejects every image: give this one a scope of its own'
    case 'signedBy':
      return 'cri-ts does not verify GPG signatures: use sigstoreSigned, or give cri-ts a policy of its own by image.signature_policy'
    case 'signedBaseLayer':
      return 'cri-ts does not verify base layers, as nobody does: leave this out'
    case 'insecureAcceptAnything':
      return undefined
    case 'sigstoreSigned':
      if (requirement.pki !== undefined) {
        return 'cri-ts does not verify signatures by pki: use a key, or fulcio'
      }
      return reference === undefined
        ? 'no signature is for an image without a name: pull it by its name'
        : undefined
  }
}

interface SignedRule extends PolicyRule {
  readonly requirement: SigstoreSigned
}

/** Undefined where one of the signatures is good, else why none is. */
async function unsatisfied(
  { at, requirement }: SignedRule,
  reference: Reference | undefined,
  evidence: SignatureEvidence,
  acceptUnnamed: boolean,
): Promise<string | undefined> {
  if (reference === undefined) return 'it has no name'
  let trust: SignatureTrust
  try {
    trust = await readTrust(requirement)
  } catch (error) {
    return `${at}: ${describeError(error)}`
  }
  if (evidence.signatures.length === 0) {
    return `${reference.name} holds no signature of ${evidence.digests.join(' or ')}: sign it, as with cosign sign --key`
  }
  const reasons: string[] = []
  for (const found of evidence.signatures) {
    const why = await flawOf(found, trust, { requirement, reference, evidence, acceptUnnamed })
    if (why === undefined) return undefined
    reasons.push(`signature ${found.from}: ${why}`)
  }
  for (const { from, error } of evidence.missing ?? []) {
    reasons.push(`signature ${from}: it could not be fetched: ${shortened(describeError(error))}`)
  }
  return reasons.join('; ')
}

interface Expected {
  readonly requirement: SigstoreSigned
  readonly reference: Reference
  readonly evidence: SignatureEvidence
  readonly acceptUnnamed: boolean
}

/** Undefined where the signature is good. */
async function flawOf(
  found: FoundSignature,
  trust: SignatureTrust,
  { requirement, reference, evidence, acceptUnnamed }: Expected,
): Promise<string | undefined> {
  try {
    const { digest, dockerReference } = await verifySignature(found, trust)
    if (!evidence.digests.includes(digest))
      return `it is for ${digest}, not for ${evidence.digests.join(' or ')}`
    if (dockerReference !== undefined) {
      return identityMismatch(requirement.signedIdentity, reference, dockerReference)
    }
    if (acceptUnnamed && requirement.signedIdentity.type === 'matchRepository') return undefined
    return 'it names no image, as bundles of cosign do: sign with --new-bundle-format=false, or set image.unnamed_signatures and signedIdentity {"type":"matchRepository"}'
  } catch (error) {
    return shortened(describeError(error))
  }
}

/** What comes from a registry is shown as far as it is printable and short. */
const shortened = (text: string): string => text.replace(/\p{C}+/gu, ' ').slice(0, 300)

async function readTrust(requirement: SigstoreSigned): Promise<SignatureTrust> {
  const { keyPath, keyPaths, keyData, keyDatas, fulcio } = requirement
  const { rekorPublicKeyPath, rekorPublicKeyPaths, rekorPublicKeyData, rekorPublicKeyDatas } = requirement
  return {
    keys: await readPublicKeys({
      at: 'the key',
      paths: listed(keyPath, keyPaths),
      datas: listed(keyData, keyDatas),
    }),
    rekorKeys: await readPublicKeys({
      at: "rekor's key",
      paths: listed(rekorPublicKeyPath, rekorPublicKeyPaths),
      datas: listed(rekorPublicKeyData, rekorPublicKeyDatas),
    }),
    fulcio: fulcio && {
      caCertificates: await readCertificates(listed(fulcio.caPath), listed(fulcio.caData)),
      oidcIssuer: fulcio.oidcIssuer,
      subjectEmail: fulcio.subjectEmail,
    },
  }
}

async function readCertificates(
  paths: readonly string[],
  datas: readonly string[],
): Promise<readonly string[]> {
  const [material] = await readMaterial({ at: "fulcio's certificates", paths, datas })
  const found = material?.pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  if (found.length === 0) throw new Error(`${material?.what ?? 'fulcio'} holds no certificate in PEM`)
  return found
}

const listed = (one: string | undefined, more: readonly string[] = []): readonly string[] => [
  ...(one === undefined ? [] : [one]),
  ...more,
]
