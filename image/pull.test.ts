import { afterEach, beforeEach, expect, test } from 'vitest'
import type { FakeImage } from '#test/fakes/fake-registry.ts'
import { answerWith } from '#test/fakes/fake-registry-behaviours.ts'
import { type PullLab, pullLab } from '#test/fakes/pull-lab.ts'

let lab: PullLab
beforeEach(async () => {
  lab = await pullLab()
})
afterEach(() => lab[Symbol.asyncDispose]())

test('a tag: its image comes with the tag and the digest of what the tag named', async () => {
  const image = lab.registry.addImage('a/b', 'v1', { layers: ['one', 'two'] })
  expect(await lab.pull('a/b:v1')).toBe(image.id)
  lab.isWhole(image)
  expect(lab.store.find(image.id)).toMatchObject({
    tags: [`${lab.registry.host}/a/b:v1`],
    digests: [`${lab.registry.host}/a/b@${image.manifestDigest}`],
    manifestDigest: image.manifestDigest,
  })
})

test('a digest: no tag is recorded', async () => {
  const image = lab.registry.addImage('a', 'v1')
  expect(await lab.pull(`a:other@${image.manifestDigest}`)).toBe(image.id)
  expect(lab.store.find(image.id)).toMatchObject({
    tags: [],
    digests: [`${lab.registry.host}/a@${image.manifestDigest}`],
  })
})

test('what is here already costs one HEAD', async () => {
  const image = lab.registry.addImage('a', 'v1')
  await lab.pull('a:v1')
  lab.registry.requests.length = 0
  expect(await lab.pull('a:v1')).toBe(image.id)
  expect(lab.seen()).toEqual(['HEAD /v2/a/manifests/v1'])
})

test('another tag of an image that is here is added to it', async () => {
  const image = lab.registry.addImage('a', 'v1')
  lab.registry.addImage('a', 'v2')
  await lab.pull('a:v1')
  expect(await lab.pull('a:v2')).toBe(image.id)
  expect(lab.store.find(image.id)?.tags).toHaveLength(2)
})

test('a tag that has moved brings the new image', async () => {
  const old = lab.registry.addImage('a', 'v1', { layers: ['old'] })
  await lab.pull('a:v1')
  const moved = lab.registry.addImage('a', 'v1', { layers: ['new'] })
  expect(await lab.pull('a:v1')).toBe(moved.id)
  expect(lab.store.find(`${lab.registry.host}/a:v1`)?.id).toBe(moved.id)
  expect(lab.store.find(old.id)?.tags).toEqual([])
})

test('a registry that says no digest, or knows no HEAD, is asked by GET', async () => {
  const image = lab.registry.addImage('a', 'v1')
  lab.registry.misbehave(/^HEAD/, answerWith(200))
  expect(await lab.pull('a:v1')).toBe(image.id)
  lab.store.clear()
  lab.registry.misbehave(/^HEAD/, answerWith(405))
  expect(await lab.pull(`a@${image.manifestDigest}`)).toBe(image.id)
})

test('one that is not there is not found, and the error names where it was looked for', async () => {
  const { kind, message } = await lab.failureOf('none:v1')
  expect(kind).toBe('not-found')
  expect(message).toContain(`pull ${lab.registry.host}/none:v1: cannot look it up: `)
  expect(message).toContain(`://${lab.registry.host}/v2/none/manifests/v1: 404 not found`)
})

const index = (manifests: object[]) => ({
  schemaVersion: 2,
  mediaType: 'application/vnd.oci.image.index.v1+json',
  manifests,
})
const entry = (image: FakeImage, platform?: object) => ({
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: image.manifestDigest,
  size: image.manifest.length,
  ...(platform === undefined ? {} : { platform }),
})

test('the image for this platform is chosen, and the digest recorded is the index’s', async () => {
  const arm = lab.registry.addImage('a', 'arm', { architecture: 'arm64', layers: ['arm'] })
  const amd = lab.registry.addImage('a', 'amd', { layers: ['amd'] })
  const { digest } = lab.registry.addManifest(
    'a',
    'v1',
    index([
      entry(arm, { os: 'linux', architecture: 'arm64' }),
      entry(amd, { os: 'linux', architecture: 'amd64' }),
      entry(arm, { os: 'unknown', architecture: 'unknown' }),
    ]),
  )
  expect(await lab.pull('a:v1')).toBe(amd.id)
  expect(lab.store.find(amd.id)).toMatchObject({
    digests: [`${lab.registry.host}/a@${digest}`],
    manifestDigest: amd.manifestDigest,
  })
})

test('one without this platform is refused with what there is', async () => {
  const arm = lab.registry.addImage('a', 'arm', { architecture: 'arm64' })
  const platforms = [
    { os: 'linux', architecture: 'arm64', variant: 'v8' },
    { os: 'windows', architecture: 'amd64' },
  ]
  lab.registry.addManifest('a', 'v1', index(platforms.map((platform) => entry(arm, platform))))
  expect(await lab.failureOf('a:v1')).toEqual({
    kind: 'failed-precondition',
    message: `pull ${lab.registry.host}/a:v1: there is none for linux/amd64, only for linux/arm64/v8, windows/amd64`,
  })
})

test('an entry without a platform is taken, unless its config is for another', async () => {
  const amd = lab.registry.addImage('a', 'amd')
  const arm = lab.registry.addImage('a', 'arm', { architecture: 'arm64' })
  lab.registry.addManifest('a', 'good', index([entry(amd)]))
  lab.registry.addManifest('a', 'bad', index([entry(arm)]))
  expect(await lab.pull('a:good')).toBe(amd.id)
  expect((await lab.failureOf('a:bad')).message).toContain('only for linux/arm64')
})

test('a single manifest for another platform is refused', async () => {
  lab.registry.addImage('a', 'v1', { architecture: 's390x' })
  expect((await lab.failureOf('a:v1')).message).toContain('only for linux/s390x')
})

test('an index within an index is refused', async () => {
  const inner = lab.registry.addManifest('a', 'inner', index([]))
  const mediaType = 'application/vnd.oci.image.index.v1+json'
  const outer = { mediaType, digest: inner.digest, size: inner.content.length }
  lab.registry.addManifest('a', 'v1', index([{ ...outer, platform: { os: 'linux', architecture: 'amd64' } }]))
  expect((await lab.failureOf('a:v1')).message).toContain('names another index')
})
