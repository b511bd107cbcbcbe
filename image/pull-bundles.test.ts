import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type PolicyLab, policyLab } from '#test/fakes/policy-lab.ts'
import { makeSigningKey, signedBundle } from '#test/fixtures/sign-image.ts'

const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json'

let lab: PolicyLab
beforeEach(async () => {
  lab = await policyLab({ acceptUnnamed: true })
  await lab.requireKey()
})
afterEach(() => lab[Symbol.asyncDispose]())

const OCI = 'application/vnd.oci.image'

/** As cosign 3 does: an artifact that refers to the image, the bundle its one layer; listed by the API, or under a tag. */
function attachBundle(digest: string, bundle: string, { annotations = {}, api = true } = {}): void {
  const mediaType = `${OCI}.manifest.v1+json`
  const about = { mediaType, artifactType: BUNDLE, annotations }
  const manifest = lab.registry.addManifest('app', '', {
    ...{ schemaVersion: 2, ...about },
    config: lab.registry.addBlob(Buffer.from('{}'), 'application/vnd.oci.empty.v1+json'),
    layers: [lab.registry.addBlob(Buffer.from(bundle), BUNDLE)],
  })
  const listed = { ...about, digest: manifest.digest, size: manifest.content.length }
  const index = { schemaVersion: 2, mediaType: `${OCI}.index.v1+json`, manifests: [listed] }
  if (!api) lab.registry.addManifest('app', digest.replace(':', '-'), index)
  else lab.registry.misbehave(/referrers/, (response) => response.end(JSON.stringify(index)))
}

test.for([true, false])(
  'a bundle that refers to the image is a signature, the referrers API there: %s',
  async (api) => {
    const image = lab.registry.addImage('app', 'v1')
    attachBundle(image.manifestDigest, signedBundle(image.manifestDigest, lab.key), { api })
    expect(await lab.pull('app:v1')).toBe(image.id)
  },
)

test('a bundle that names its image is matched with it', async () => {
  const image = lab.registry.addImage('app', 'v1')
  const bundle = (name: string) => signedBundle(image.manifestDigest, lab.key, { name })
  attachBundle(image.manifestDigest, bundle('registry.example/other'))
  expect((await lab.failureOf('app:v1')).message).toMatch(/it is for registry.example\/other, not for 127/)
  attachBundle(image.manifestDigest, bundle(`${lab.registry.host}/app`))
  expect(await lab.pull('app:v1')).toBe(image.id)
})

test('a bundle that names no image is none where the policy wants a name', async () => {
  await lab.requireKey({ signedIdentity: { type: 'matchRepoDigestOrExact' } })
  const image = lab.registry.addImage('app', 'v1')
  attachBundle(image.manifestDigest, signedBundle(image.manifestDigest, lab.key))
  expect((await lab.failureOf('app:v1')).message).toMatch(
    /it names no image, as bundles of cosign do: .*unnamed_signatures/,
  )
})

describe('a bundle is no signature', () => {
  const damaged = (bundle: string, change: (json: { dsseEnvelope: object }) => void): string => {
    const json = JSON.parse(bundle) as { dsseEnvelope: object }
    change(json)
    return JSON.stringify(json)
  }
  test.for<[why: string, bundle: (digest: string) => string, message: RegExp]>([
    ['by another key', (digest) => signedBundle(digest, makeSigningKey()), /signature verification failed/],
    [
      'of another image',
      () => signedBundle(`sha256:${'0'.repeat(64)}`, lab.key),
      /it is for sha256:0{64}, not for sha256:/,
    ],
    [
      'that attests something else',
      (digest) => signedBundle(digest, lab.key, { predicateType: 'https://slsa.dev/provenance/v1' }),
      /its statement is no signature of an image: predicateType/,
    ],
    ['that is no JSON', () => '{', /JSON/],
    ['that is no bundle', () => '{"mediaType":"x"}', /signature sha256:\w+: \S+/],
    [
      'whose statement was changed',
      (digest) =>
        damaged(signedBundle(digest, lab.key), ({ dsseEnvelope }) => {
          Object.assign(dsseEnvelope, { payload: Buffer.from('{}').toString('base64') })
        }),
      /signature verification failed/,
    ],
    [
      'of another type of statement',
      (digest) =>
        damaged(signedBundle(digest, lab.key), ({ dsseEnvelope }) => {
          Object.assign(dsseEnvelope, { payloadType: 'text/plain' })
        }),
      /its statement is of the type text\/plain/,
    ],
    [
      'with a bare signature',
      (digest) =>
        damaged(signedBundle(digest, lab.key), (json) => {
          Object.assign(json, {
            dsseEnvelope: undefined,
            messageSignature: { messageDigest: { algorithm: 'SHA2_256', digest: 'AA==' }, signature: 'AA==' },
          })
        }),
      /holds a bare signature/,
    ],
  ])('%s', async ([, bundle, message]) => {
    const image = lab.registry.addImage('app', 'v1')
    attachBundle(image.manifestDigest, bundle(image.manifestDigest))
    expect(await lab.failureOf('app:v1')).toMatchObject({
      kind: 'unverified',
      message: expect.stringMatching(message),
    })
  })

  test('that says to attest something else is not even fetched', async () => {
    const image = lab.registry.addImage('app', 'v1')
    attachBundle(image.manifestDigest, signedBundle(image.manifestDigest, lab.key), {
      annotations: { 'dev.sigstore.bundle.predicateType': 'https://slsa.dev/provenance/v1' },
    })
    expect((await lab.failureOf('app:v1')).message).toMatch(/holds no signature of/)
    expect(lab.gets(/blobs/)).toEqual([])
  })
})
