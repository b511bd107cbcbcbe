import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CriError } from '#lib/errors.ts'
import { answerWith } from '#test/fakes/fake-registry-behaviours.ts'
import { attachSignatures, type PolicyLab, policyLab } from '#test/fakes/policy-lab.ts'
import { makeSigningKey, simpleSigning } from '#test/fixtures/sign-image.ts'

let lab: PolicyLab
beforeEach(async () => {
  lab = await policyLab()
})
afterEach(() => lab[Symbol.asyncDispose]())

/** A signature of something else. */
const other = () => ({
  key: lab.key,
  payload: simpleSigning(`sha256:${'1'.repeat(64)}`, 'registry.example/other'),
})
const blobOf = ({ payload }: { readonly payload: Buffer }) =>
  new RegExp(`blobs/sha256:${createHash('sha256').update(payload).digest('hex')}`)

const blobs = () => lab.gets(/\/blobs\//).map(({ target }) => target)

test('an image whose policy accepts anything is pulled, and no signature is asked for', async () => {
  await lab.writePolicy({ default: [{ type: 'insecureAcceptAnything' }] })
  const image = lab.registry.addImage('app', 'v1')
  expect(await lab.pull('app:v1')).toBe(image.id)
  expect(lab.gets(/\.sig|referrers/)).toEqual([])
})

test('an image that the policy rejects is refused before the registry is asked', async () => {
  await lab.writePolicy({ default: [{ type: 'reject' }] })
  lab.registry.addImage('app', 'v1')
  expect(await lab.failureOf('app:v1')).toEqual({
    kind: 'unverified',
    message: `SignatureValidationFailed: ${lab.registry.host}/app:v1 is refused by ${lab.policyFile}, default[0] (reject): it rejects every image: give this one a scope of its own`,
  })
  expect(lab.registry.requests).toEqual([])
})

describe('where a signature is required', () => {
  beforeEach(() => lab.requireKey())

  test('a signed image is pulled, by tag and by digest', async () => {
    const image = lab.registry.addImage('app', 'v1')
    attachSignatures(lab.registry, 'app', image.manifestDigest, [{ key: lab.key }])
    expect(await lab.pull('app:v1')).toBe(image.id)
    expect(await lab.pull(`app@${image.manifestDigest}`)).toBe(image.id)
    lab.isWhole(image)
  })

  test('an image without a signature is refused, and nothing of it is fetched', async () => {
    const image = lab.registry.addImage('app', 'v1')
    expect(await lab.failureOf('app:v1')).toEqual({
      kind: 'unverified',
      message:
        `SignatureValidationFailed: ${lab.registry.host}/app:v1 is refused by ${lab.policyFile}, ` +
        `transports.docker["${lab.registry.host}"][0] (sigstoreSigned): ${lab.registry.host}/app holds no signature of ` +
        `${image.manifestDigest}: sign it, as with cosign sign --key`,
    })
    expect(blobs()).toEqual([])
    expect(lab.store.list()).toEqual([])
  })

  test('one of several signatures is enough', async () => {
    const image = lab.registry.addImage('app', 'v1')
    attachSignatures(lab.registry, 'app', image.manifestDigest, [{ key: makeSigningKey() }, { key: lab.key }])
    expect(await lab.pull('app:v1')).toBe(image.id)
  })

  test.for<[what: string, lost: () => RegExp]>([
    ['the content of another', () => blobOf(other())],
    ['the list of referrers', () => /referrers/],
  ])('a good signature is enough where %s does not come', async ([, lost]) => {
    const image = lab.registry.addImage('app', 'v1')
    attachSignatures(lab.registry, 'app', image.manifestDigest, [other(), { key: lab.key }])
    lab.registry.misbehave(lost(), answerWith(500), 99)
    expect(await lab.pull('app:v1')).toBe(image.id)
    const [stored] = lab.records.signatures(image.id)
    expect(Object.keys(JSON.parse(stored?.evidence ?? '') as object)).toEqual(['digests', 'signatures'])
  })

  test('what did not come is told where no signature is good, and is the error where none came', async () => {
    const image = lab.registry.addImage('app', 'v1')
    const bad = {
      key: makeSigningKey(),
      payload: simpleSigning(image.manifestDigest, 'registry.example/bad'),
    }
    lab.registry.misbehave(blobOf(other()), answerWith(500), 99)
    attachSignatures(lab.registry, 'app', image.manifestDigest, [other(), bad])
    expect(await lab.failureOf('app:v1')).toMatchObject({
      kind: 'unverified',
      message: expect.stringMatching(
        /no key of the policy made it; signature sha256:\w+: it could not be fetched: .*500/,
      ) as string,
    })
    attachSignatures(lab.registry, 'app', image.manifestDigest, [other()])
    expect(await lab.failureOf('app:v1')).toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(/blobs\/sha256:\w+: .*500/) as string,
    })
  })
})

describe('what is no signature', () => {
  beforeEach(() => lab.requireKey())

  test.for<[why: string, payload: (digest: string, name: string) => Buffer, message: RegExp]>([
    [
      'of another image',
      (_, name) => simpleSigning(`sha256:${'0'.repeat(64)}`, name),
      /it is for sha256:0{64}, not for sha256:/,
    ],
    [
      'of another repository',
      (digest) => simpleSigning(digest, 'registry.example/other'),
      /it is for registry.example\/other, not for 127/,
    ],
    [
      'that names no image',
      (digest) => simpleSigning(digest, 'No Name'),
      /"No Name", which is no image reference/,
    ],
    [
      'with a key twice',
      (digest, name) => Buffer.from(simpleSigning(digest, name).toString().replace('{', '{"optional":null,')),
      /the key "optional" stands twice/,
    ],
    [
      'with an unknown key',
      (digest, name) => simpleSigning(digest, name, { more: 1 }),
      /Unrecognized key: "more"/,
    ],
    [
      'of an unknown kind',
      (digest, name) => simpleSigning(digest, name, { critical: { type: 'atomic' } }),
      /its payload is not as it should be: critical/,
    ],
    ['of null', () => Buffer.from('null'), /its payload is not as it should be/],
    ['of half a JSON', () => Buffer.from('{"critical":'), /JSON/],
  ])('a signature %s is none', async ([, payload, message]) => {
    const image = lab.registry.addImage('app', 'v1')
    const bytes = payload(image.manifestDigest, `${lab.registry.host}/app`)
    attachSignatures(lab.registry, 'app', image.manifestDigest, [{ key: lab.key, payload: bytes }])
    const failure = await lab.failureOf('app:v1')
    expect(failure).toMatchObject({ kind: 'unverified', message: expect.stringMatching(message) })
    expect(lab.store.list()).toEqual([])
  })

  test('a signature by another key, or that was tampered with, is none', async () => {
    const image = lab.registry.addImage('app', 'v1')
    const damaged = { 'dev.cosignproject.cosign/signature': 'bm8=' }
    attachSignatures(lab.registry, 'app', image.manifestDigest, [
      { key: makeSigningKey() },
      { key: lab.key, annotations: damaged },
    ])
    const { message } = await lab.failureOf('app:v1')
    expect(message).toMatch(
      /signature sha256:\w+: no key of the policy made it; signature sha256:\w+: no key/,
    )
  })
})

describe('what is signed', () => {
  beforeEach(() => lab.requireKey())

  test('of an index the signature may be of the index, or of the manifest for this host', async () => {
    for (const signed of ['index', 'manifest'] as const) {
      const repository = `signed-${signed}`
      const image = lab.registry.addImage(repository, 'amd64')
      const index = lab.registry.addManifest(repository, 'v1', {
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.index.v1+json',
        manifests: [
          {
            mediaType: 'application/vnd.oci.image.manifest.v1+json',
            digest: image.manifestDigest,
            size: image.manifest.length,
            platform: { os: 'linux', architecture: 'amd64' },
          },
        ],
      })
      const digest = signed === 'index' ? index.digest : image.manifestDigest
      attachSignatures(lab.registry, repository, digest, [{ key: lab.key }])
      expect(await lab.pull(`${repository}:v1`)).toBe(image.id)
    }
  })

  test('what was pulled is asked about again, and told by what was kept, without the registry', async () => {
    const image = lab.registry.addImage('app', 'v1')
    attachSignatures(lab.registry, 'app', image.manifestDigest, [{ key: lab.key }])
    await lab.pull('app:v1')
    lab.registry.requests.length = 0
    expect(await lab.pull('app:v1')).toBe(image.id)
    expect(lab.gets(/./).filter(({ method }) => method === 'GET')).toEqual([])
  })

  test('an image that is here is refused when the policy no longer accepts its signature', async () => {
    const image = lab.registry.addImage('app', 'v1')
    attachSignatures(lab.registry, 'app', image.manifestDigest, [{ key: lab.key }])
    await lab.pull('app:v1')
    await lab.requireKey({ signedIdentity: { type: 'matchExact' } })
    expect((await lab.failureOf('app:v1')).message).toMatch(
      /it is for .*\/app, not for .*\/app:v1: it names no tag, as those of cosign do/,
    )
  })
})

describe('verifier programs', () => {
  test('are asked about what the reference stands for, before anything of it is fetched, at each pull', async () => {
    const asked: unknown[] = []
    await using own = await policyLab({
      verifiers: {
        async verify(name, descriptor) {
          asked.push(name, descriptor)
          if (asked.length > 2) throw new CriError('unverified', 'SignatureValidationFailed: no')
        },
      },
    })
    await own.writePolicy({ default: [{ type: 'insecureAcceptAnything' }] })
    const { manifest, manifestDigest, id } = own.registry.addImage('app', 'v1')
    expect(await own.pull('app:v1')).toBe(id)
    const mediaType = 'application/vnd.oci.image.manifest.v1+json'
    const descriptor = { mediaType, digest: manifestDigest, size: manifest.length }
    expect(asked).toEqual([`${own.registry.host}/app:v1`, descriptor])
    own.registry.requests.length = 0
    expect(await own.failureOf('app:v1')).toEqual({
      kind: 'unverified',
      message: 'SignatureValidationFailed: no',
    })
    expect(own.gets(/blobs/)).toEqual([])
  })
})
