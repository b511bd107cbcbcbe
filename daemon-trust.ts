import type { Config } from '#config/config.ts'
import { imagePolicy } from '#image/policy-check.ts'
import { policyFiles } from '#image/policy-file.ts'
import { type PullGuard, pullGuard } from '#image/policy-guard.ts'
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
}

/** What the configuration says of which images may be used. */
export function openTrust({ config, records, run, clock, log }: TrustInput): PullGuard {
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
  return pullGuard({ policy, verifiers, records, clock })
}
