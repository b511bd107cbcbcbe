import type { Config } from '#config/config.ts'
import { type ImageAdmission, imageAdmission } from '#image/policy-admission.ts'
import { imagePolicy } from '#image/policy-check.ts'
import { policyFiles } from '#image/policy-file.ts'
import { gatherEvidence, type PullGuard, pullGuard } from '#image/policy-guard.ts'
import { type RegistryOptions, RegistrySession } from '#image/registry-session.ts'
import type { SignatureRecords } from '#image/signature-records.ts'
import { imageVerifiers } from '#image/verifier-programs.ts'
import type { Log } from '#lib/log.ts'
import type { Command, Finished } from '#linux/command.ts'
import type { Clock } from '#runtime/ports.ts'

export interface TrustInput {
  readonly config: Config
  readonly records: SignatureRecords
  readonly run: (command: Command) => Promise<Finished>
  readonly clock: Clock
  readonly log: Log
  readonly registry: RegistryOptions
}

export interface Trust {
  readonly guard: PullGuard
  readonly admit: ImageAdmission
}

/** For signatures that a container waits for. */
const FETCH_LIMIT_MS = 30_000

/** What the configuration says of which images may be used. */
export function openTrust({ config, records, run, clock, log, registry }: TrustInput): Trust {
  const { trust } = config.image
  const policy = imagePolicy({
    files: policyFiles({ policy: trust.signaturePolicy, directory: trust.signaturePolicyDir }),
    acceptUnnamed: trust.unnamedSignatures,
  })
  const verifiers =
    trust.verifiersDir === undefined
      ? undefined
      : imageVerifiers({
          ...{ directory: trust.verifiersDir, timeoutMs: trust.verifierTimeoutMs, most: trust.maxVerifiers },
          ...{ run, log },
        })
  return {
    guard: pullGuard({ policy, verifiers, records, clock }),
    admit: imageAdmission({
      ...{ policy, records, clock },
      async fetch(reference, digests) {
        const signal = AbortSignal.timeout(FETCH_LIMIT_MS)
        const auth = { request: undefined, kept: registry.auths.open(reference.name, '') }
        using session = new RegistrySession(reference, auth, registry, log, signal)
        return await gatherEvidence(session, digests, signal)
      },
    }),
  }
}
