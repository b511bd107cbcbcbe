import { afterEach, beforeEach, expect, test } from 'vitest'
import type { FakeImage } from '#test/fakes/fake-registry.ts'
import { type PullLab, pullLab } from '#test/fakes/pull-lab.ts'
import { parsePlatform } from './platform.ts'

let lab: PullLab
beforeEach(async () => {
  lab = await pullLab(undefined, ['linux/amd64', 'linux/arm64'])
})
afterEach(() => lab[Symbol.asyncDispose]())

/** An index over images of those architectures, as `a:v1`. */
function addIndex(...architectures: string[]): FakeImage[] {
  const images = architectures.map((architecture) =>
    lab.registry.addImage('a', architecture, { architecture, layers: [architecture] }),
  )
  const manifests = images.map(({ manifestDigest, manifest }, index) => ({
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: manifestDigest,
    size: manifest.length,
    platform: { os: 'linux', architecture: architectures[index] },
  }))
  const mediaType = 'application/vnd.oci.image.index.v1+json'
  lab.registry.addManifest('a', 'v1', { schemaVersion: 2, mediaType, manifests })
  return images
}

const pullFor = (platform: string) =>
  lab.puller.pull(`${lab.registry.host}/a:v1`, undefined, new AbortController().signal, {
    platform: parsePlatform(platform),
  })

test('the first of the platforms that an index has is pulled, whatever its own order is', async () => {
  const [, amd] = addIndex('arm64', 'amd64')
  expect(await lab.pull('a:v1')).toBe(amd?.id)
})

test('where the first is not there, the second is; its record says what it is for', async () => {
  const [, arm] = addIndex('s390x', 'arm64')
  expect(await lab.pull('a:v1')).toBe(arm?.id)
  expect(lab.store.find(arm?.id ?? '')?.platform).toMatchObject({ architecture: 'arm64' })
})

test('a single manifest may be for any of them', async () => {
  const arm = lab.registry.addImage('b', 'v1', { architecture: 'arm64' })
  expect(await lab.pull('b:v1')).toBe(arm.id)
  lab.registry.addImage('b', 'v2', { architecture: 's390x' })
  expect((await lab.failureOf('b:v2')).message).toContain(
    'there is none for linux/amd64 or linux/arm64/v8, only for linux/s390x',
  )
})

test('an image for a lesser platform is asked about again: a better one may have come', async () => {
  const [arm] = addIndex('arm64')
  expect(await lab.pull('a:v1')).toBe(arm?.id)
  expect(await lab.pull('a:v1')).toBe(arm?.id)
  const [amd] = addIndex('amd64', 'arm64')
  expect(await lab.pull('a:v1')).toBe(amd?.id)
  expect(lab.store.find(arm?.id ?? '')?.tags).toEqual([])
})

test('one platform may be asked for; the tag is then its, until the best is pulled again', async () => {
  const [amd, arm] = addIndex('amd64', 'arm64')
  const tag = `${lab.registry.host}/a:v1`
  expect(await lab.pull('a:v1')).toBe(amd?.id)
  expect(await pullFor('linux/arm64')).toBe(arm?.id)
  expect(lab.store.find(tag)?.id).toBe(arm?.id)
  expect(await lab.pull('a:v1')).toBe(amd?.id)
  expect(lab.store.find(tag)?.id).toBe(amd?.id)
})

test('pulls for different platforms are not shared', async () => {
  const [amd, arm] = addIndex('amd64', 'arm64')
  expect(await Promise.all([lab.pull('a:v1'), pullFor('linux/arm64')])).toEqual([amd?.id, arm?.id])
})

test('one that is not run here is refused before anybody is asked', async () => {
  addIndex('s390x')
  await expect(pullFor('linux/s390x')).rejects.toMatchObject({
    kind: 'invalid-argument',
    message:
      'platform linux/s390x is not run here, but linux/amd64 or linux/arm64/v8: add it to image.platforms',
  })
  expect(lab.registry.requests).toEqual([])
})
