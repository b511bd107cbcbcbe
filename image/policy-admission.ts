import { describeError } from '#lib/errors.ts'
import type { Clock } from '#runtime/ports.ts'
import type { ImageRecord } from './image-source.ts'
import type { AppliedPolicy, ImagePolicy } from './policy-check.ts'
import { storedForm } from './policy-guard.ts'
import { refusal } from './policy-refusal.ts'
import { nameOf, parseReference, type Reference } from './reference.ts'
import { parseEvidence, type SignatureEvidence } from './signature-evidence.ts'
import type { SignatureRecords, StoredSignatures } from './signature-records.ts'

/**
 * Asks whether an image that is here may be used now by a pod of the namespace: the policy may be another one than when
 * it was pulled. `said` are the full names that the pod may mean, none where it says an id: judged is the one that is the
 * image's, else each of them; by id, any of the image's names. Throws unverified, naming the rule.
 */
export type ImageAdmission = (image: ImageRecord, said: readonly string[], namespace: string) => Promise<void>

export interface ImageAdmissionOptions {
  readonly policy: ImagePolicy
  readonly records: SignatureRecords
  /** What a repository holds as signatures of manifests; asked where no pull has, as no policy wanted any. */
  readonly fetch: (reference: Reference, digests: readonly string[]) => Promise<SignatureEvidence>
  readonly clock: Clock
}

/** The network is needed only for an image that what is here of signatures does not do for. */
export function imageAdmission({ policy, records, fetch, clock }: ImageAdmissionOptions): ImageAdmission {
  function fetchFor({ manifestDigest = '' }: ImageRecord, name: string): Promise<SignatureEvidence> {
    const reference = parseReference(name)
    return fetch(
      reference,
      [reference.digest ?? '', manifestDigest].filter((digest) => digest !== ''),
    )
  }

  async function fresh(image: ImageRecord, name: string, applied: AppliedPolicy): Promise<SignatureEvidence> {
    try {
      return await fetchFor(image, name)
    } catch (error) {
      throw refusal(
        `${name} was pulled when ${applied.file} wanted no signature of it, and none can be fetched now: ${describeError(error)}`,
      )
    }
  }

  /** By what was kept under the name; if that does not do, it may have been signed anew since. */
  async function checkName(image: ImageRecord, name: string, applied: AppliedPolicy): Promise<void> {
    const keep = (evidence: SignatureEvidence): void =>
      records.putSignatures(image.id, { ...storedForm(name, evidence, applied), verifiedAtNs: clock.nowNs() })
    const stored = records.signatures(image.id).find((each) => each.name === name)
    const kept = stored && parseEvidence(stored.evidence)
    if (stored === undefined || kept === undefined) {
      const evidence = await fresh(image, name, applied)
      await applied.check(evidence)
      keep(evidence)
      return
    }
    try {
      await applied.check(kept)
      if (isOutdated(stored, applied)) keep(kept)
    } catch (failure) {
      const evidence = await fetchFor(image, name).catch(() => {
        throw failure // Without the network it is judged by what is here.
      })
      await applied.check(evidence)
      keep(evidence)
    }
  }

  /** Under one name. */
  async function admit(
    image: ImageRecord,
    reference: Reference | undefined,
    namespace: string,
  ): Promise<void> {
    const applied = await policy.of(reference, namespace)
    if (reference === undefined || !applied?.needsSignatures) return
    const names = image.digests.filter(isOf(reference))
    if (names.length === 0) {
      throw refusal(
        `${nameOf(reference)} needs a signature by ${applied.file}, but no digest of the image is known there: pull it by that name`,
      )
    }
    await firstThatPasses(names, (name) => checkName(image, name, applied))
  }

  return async (image, said, namespace) => {
    const names = [...image.tags, ...image.digests]
    const spoken = said.find((name) => names.includes(name))
    const asked = spoken === undefined ? said : [spoken]
    // A name that is none of the image's stays what is asked for: another rule must not let it in.
    for (const name of asked) await admit(image, parseReference(name), namespace)
    if (asked.length > 0) return
    // By its id any of its names will do, as the content is the same.
    const own = names.length === 0 ? [undefined] : names.map((name) => parseReference(name))
    await firstThatPasses(own, (name) => admit(image, name, namespace))
  }
}

/** Of an image's digests, those that a reference means. */
const isOf =
  ({ name, canonical }: Reference) =>
  (digest: string): boolean =>
    canonical === undefined ? digest.startsWith(`${name}@`) : digest === canonical

const isOutdated = (
  { policyFile, policyDigest }: StoredSignatures,
  { file, digest }: AppliedPolicy,
): boolean => policyFile === file && policyDigest !== digest

/** Throws what the first threw, when all throw. */
async function firstThatPasses<Item>(
  items: readonly Item[],
  act: (item: Item) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = []
  for (const item of items) {
    try {
      await act(item)
      return
    } catch (error) {
      failures.push(error)
    }
  }
  throw failures[0]
}
