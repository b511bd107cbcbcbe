import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { namesSaid } from '#image/find-image.ts'
import { imageAdmission } from '#image/policy-admission.ts'
import { imagePolicy } from '#image/policy-check.ts'
import { policyFiles } from '#image/policy-file.ts'
import { gatherEvidence, pullGuard } from '#image/policy-guard.ts'
import type { SignatureRecords, StoredSignatures } from '#image/signature-records.ts'
import type { ImageVerifiers } from '#image/verifier-programs.ts'
import type { ImageUse } from '#runtime/rootfs-port.ts'
import { makeSigningKey, type SigningKey, signatureOf, simpleSigning } from '#test/fixtures/sign-image.ts'
import type { FakeRegistry } from './fake-registry.ts'
import { type PullLab, pullLab } from './pull-lab.ts'

/** A registry with signatures, a policy and a puller that keeps to it. */
export interface PolicyLab extends PullLab {
  readonly key: SigningKey
  readonly policyFile: string
  readonly records: SignatureRecords
  /** Whether an image that is here may be used as `reference` by a pod of the namespace that says it so. */
  admit(reference: string, use?: Partial<ImageUse>): Promise<void>
  /** What was fetched of signatures for such a use. */
  readonly fetched: readonly string[]
  /** Writes the node's policy, or that of a namespace. */
  writePolicy(policy: object | string, namespace?: string): Promise<void>
  /** A policy that wants the key's signature for everything in the registry. */
  requireKey(changes?: object): Promise<void>
}

export async function policyLab({
  verifiers,
  acceptUnnamed = false,
}: {
  verifiers?: ImageVerifiers
  acceptUnnamed?: boolean
} = {}): Promise<PolicyLab> {
  const records = new FakeSignatureRecords()
  let guard: ReturnType<typeof pullGuard> | undefined
  const lab = await pullLab({
    open: (...asked) => guard?.open(...asked) ?? Promise.reject(new Error('not yet')),
  })
  const policyFile = join(lab.configDir, 'policy.json')
  const directory = join(lab.configDir, 'policies')
  const keyFile = join(lab.configDir, 'cosign.pub')
  await mkdir(directory)
  const key = makeSigningKey()
  await writeFile(keyFile, key.publicPem)
  const files = policyFiles({ policy: policyFile, directory })
  const policy = imagePolicy({ files, acceptUnnamed })
  const clock = { nowNs: () => '1700000000000000000' }
  guard = pullGuard({ policy, verifiers, records, clock })
  const fetched: string[] = []
  const admission = imageAdmission({
    ...{ policy, records, clock },
    async fetch(reference, digests) {
      fetched.push(reference.canonical ?? '')
      using session = lab.open(reference)
      return await gatherEvidence(session, digests, new AbortController().signal)
    },
  })
  const writePolicy: PolicyLab['writePolicy'] = (content, namespace) =>
    writeFile(
      namespace === undefined ? policyFile : join(directory, `${namespace}.json`),
      typeof content === 'string' ? content : JSON.stringify(content),
    )
  return {
    ...lab,
    ...{ key, policyFile, records, writePolicy, fetched },
    async admit(reference, use = {}) {
      const image = lab.store.find(reference)
      if (image === undefined) throw new Error(`${reference} is not here`)
      const { namespace = '', userSpecifiedImage = '' } = use
      await admission(image, namesSaid(lab.store, userSpecifiedImage || reference, image), namespace)
    },
    requireKey: (changes = {}) =>
      writePolicy({
        default: [{ type: 'reject' }],
        transports: {
          docker: {
            [lab.registry.host]: [
              {
                type: 'sigstoreSigned',
                keyPath: keyFile,
                signedIdentity: { type: 'matchRepository' },
                ...changes,
              },
            ],
          },
        },
      }),
  }
}

interface Attached {
  readonly payload?: Buffer
  readonly key: SigningKey
  readonly annotations?: { readonly [name: string]: string }
}

/** Puts signatures beside a manifest as cosign does, each for the repository unless `payload` says something else. */
export function attachSignatures(
  registry: FakeRegistry,
  repository: string,
  digest: string,
  signatures: readonly Attached[],
): void {
  const layers = signatures.map(({ payload, key, annotations }) => {
    const bytes = payload ?? simpleSigning(digest, `${registry.host}/${repository}`)
    return {
      ...registry.addBlob(bytes, 'application/vnd.dev.cosign.simplesigning.v1+json'),
      annotations: { 'dev.cosignproject.cosign/signature': signatureOf(bytes, key), ...annotations },
    }
  })
  registry.addManifest(repository, `${digest.replace(':', '-')}.sig`, {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: registry.addBlob(Buffer.from('{}'), 'application/vnd.oci.image.config.v1+json'),
    layers,
  })
}

class FakeSignatureRecords implements SignatureRecords {
  readonly #stored = new Map<string, readonly StoredSignatures[]>()

  signatures(imageId: string): readonly StoredSignatures[] {
    return this.#stored.get(imageId) ?? []
  }

  putSignatures(imageId: string, stored: StoredSignatures): void {
    const others = this.signatures(imageId).filter(({ name }) => name !== stored.name)
    this.#stored.set(imageId, [...others, stored])
  }
}
