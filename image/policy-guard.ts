import type { Clock } from '#runtime/ports.ts'
import type { AppliedPolicy, ImagePolicy } from './policy-check.ts'
import type { Reference } from './reference.ts'
import type { RegistrySession } from './registry-session.ts'
import { parseEvidence, type SignatureEvidence } from './signature-evidence.ts'
import type { SignatureRecords } from './signature-records.ts'
import { findSignatures } from './signature-source.ts'
import type { ImageVerifiers } from './verifier-programs.ts'

/** Stands between a registry and the store: what policy and the verifier programs refuse does not come here. */
export interface PullGuard {
  /** For a pull on behalf of a pod of the namespace, '' for nobody's. Throws unverified for what is refused anyway. */
  open(reference: Reference, namespace: string): Promise<OpenGuard>
}

export interface OpenGuard {
  /** The same where the same is asked of an image. */
  readonly key: string
  /** Whether an image that is here was found good under `name` (`NAME@sha256:…`), and still is. */
  admits(imageId: string, name: string): Promise<boolean>
  /**
   * Asks for the digests, the index's first, if there is one, before anything else of the image is fetched; answers
   * what is to be called with the image's id once it is here. Throws unverified.
   */
  check(
    session: GuardedSession,
    digests: readonly string[],
    signal: AbortSignal,
  ): Promise<(imageId: string) => void>
}

type GuardedSession = Pick<RegistrySession, 'attached' | 'config' | 'manifest'>

export interface PullGuardOptions {
  readonly policy: ImagePolicy
  readonly verifiers: ImageVerifiers | undefined
  readonly records: SignatureRecords
  readonly clock: Clock
}

/** Where there is neither policy nor a program: whatever the registry has is accepted. */
export const noGuard: OpenGuard = { key: '', admits: async () => true, check: async () => () => {} }

export function pullGuard({ policy, verifiers, records, clock }: PullGuardOptions): PullGuard {
  return {
    async open(reference, namespace) {
      const applied = await policy.of(reference, namespace)
      const named = reference.tagged ?? reference.canonical ?? reference.name
      return {
        key: applied === undefined ? '' : `${applied.file} ${applied.digest}`,

        async admits(imageId, name) {
          if (verifiers !== undefined) return false
          if (!applied?.needsSignatures) return true
          const stored = records.signatures(imageId).find((each) => each.name === name)
          const evidence = stored && parseEvidence(stored.evidence)
          return evidence !== undefined && (await passes(applied, evidence))
        },

        async check(session, digests, signal) {
          const [top = ''] = digests
          if (verifiers !== undefined) {
            await verifiers.verify(named, await descriptorOf(session, top, signal), signal)
          }
          if (!applied?.needsSignatures) return () => {}
          const evidence = await gatherEvidence(session, digests, signal)
          await applied.check(evidence)
          return (imageId) =>
            records.putSignatures(imageId, {
              ...storedForm(`${reference.name}@${top}`, evidence, applied),
              verifiedAtNs: clock.nowNs(),
            })
        },
      }
    },
  }
}

/**
 * What the repository holds for the index and for the manifest: a signature of either is one of the image. Throws when
 * there should be some, and none comes.
 */
export async function gatherEvidence(
  session: Pick<RegistrySession, 'attached' | 'config'>,
  digests: readonly string[],
  signal: AbortSignal,
): Promise<SignatureEvidence> {
  const different = [...new Set(digests)]
  const pieces = await Promise.all(different.map((digest) => findSignatures(session, digest, signal)))
  const missing = pieces.flat().filter((piece) => piece.kind === 'missing')
  const signatures = pieces.flat().filter((piece) => piece.kind !== 'missing')
  if (signatures.length === 0 && missing[0] !== undefined) throw missing[0].error
  return { digests: different, signatures, missing }
}

/** Without what is missing: that may be there the next time. */
export const storedForm = (
  name: string,
  { digests, signatures }: SignatureEvidence,
  { file, digest }: AppliedPolicy,
) => ({
  ...{ name, evidence: JSON.stringify({ digests, signatures }) },
  ...{ policyFile: file, policyDigest: digest },
})

async function passes(applied: AppliedPolicy, evidence: SignatureEvidence): Promise<boolean> {
  try {
    await applied.check(evidence)
    return true
  } catch {
    return false // What is fetched anew may pass; if not, that is told.
  }
}

async function descriptorOf(session: GuardedSession, digest: string, signal: AbortSignal) {
  const { content, mediaType } = await session.manifest(digest, signal)
  return { mediaType: mediaType.replace(/;.*$/s, '').trim(), digest, size: content.length }
}
