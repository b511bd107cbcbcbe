import { createHash } from 'node:crypto'
import { status } from '@grpc/grpc-js'
import { beforeEach, expect, test } from 'vitest'
import type { RequestAuth } from '#image/auth-credentials.ts'
import type { ImagePuller } from '#image/pull.ts'
import { CriError } from '#lib/errors.ts'
import {
  type ImageSpec,
  ImageStatusRequest,
  ListImagesRequest,
  PullImageRequest,
  RemoveImageRequest,
  StreamImagesRequest,
} from '#proto/gen/runtime/v1/api.ts'
import { FakeImageStore } from '#test/fakes/fake-image-store.ts'
import { toGrpcStatus } from '../status.ts'
import { populated, recording, unreadFields } from '../unread-fields.ts'
import { imageService } from './service.ts'

const silent = () => {}
const log = { debug: silent, info: silent, warn: silent, error: silent }
const call = { log, signal: new AbortController().signal }

let store = new FakeImageStore()
let failure: CriError | undefined
let pulls: { reference: string; auth: RequestAuth | undefined }[] = []
const puller: ImagePuller = {
  async pull(reference, auth) {
    pulls.push({ reference, auth })
    if (failure !== undefined) throw failure
    return 'sha256:pulled'
  },
}
const service = () =>
  imageService({ store, puller, clock: { nowNs: () => '42' }, handlers: [{ name: 'runc' }, { name: 'x' }] })

beforeEach(() => {
  store = new FakeImageStore()
  pulls = []
  failure = undefined
})

const addImage = (user: string, tags: string[], digests: string[] = []): Promise<string> =>
  addConfig({ config: { User: user }, rootfs: { diff_ids: [] } }, tags, digests)

async function addConfig(config: object, tags: string[], digests: string[] = []): Promise<string> {
  const blob = Buffer.from(JSON.stringify(config))
  const source = { config: blob, manifestDigest: undefined, layers: [], tags, digests }
  return store.add(source, call.signal)
}

const spec = (image: string): ImageSpec => ({
  image,
  annotations: {},
  userSpecifiedImage: '',
  runtimeHandler: '',
  imageRef: '',
})
const statusOf = async (image: string, verbose = false) =>
  service().imageStatus({ image: spec(image), verbose }, call)
const digest = `sha256:${createHash('sha256').update('x').digest('hex')}`

test('an image is found by id, by the beginning of its id, by any form of its tag and by digest', async () => {
  const id = await addImage('', ['docker.io/library/busybox:latest'], [`docker.io/library/busybox@${digest}`])
  const names = [
    id,
    id.slice('sha256:'.length),
    id.slice('sha256:'.length, 20),
    'busybox',
    'busybox:latest',
    'docker.io/library/busybox',
    `busybox@${digest}`,
    `busybox:other@${digest}`,
  ]
  for (const name of names) expect((await statusOf(name)).image?.id, name).toBe(id)
})

test.for(['busybox:1', 'other', 'abc123', `sha256:${'0'.repeat(64)}`])(
  'the status of %s, which is not here, is an answer without an image',
  async (name) => {
    await addImage('', ['docker.io/library/busybox:latest'])
    expect(await statusOf(name, true)).toEqual({ image: undefined, info: {} })
  },
)

test('a name that looks like the beginning of an id is a name first', async () => {
  const named = await addImage('1', [])
  const prefix = named.slice('sha256:'.length, 'sha256:'.length + 4)
  const tagged = await addImage('2', [`docker.io/library/${prefix}:latest`])
  expect((await statusOf(prefix)).image?.id).toBe(tagged)
})

test.for([
  ['', { uid: undefined, username: '' }],
  ['1000', { uid: { value: 1000n }, username: '' }],
  ['1003:1004', { uid: { value: 1003n }, username: '' }],
  ['www-data:1004', { uid: undefined, username: 'www-data' }],
] as const)("an image's user %s is %o", async ([user, shown]) => {
  const id = await addImage(user, [])
  expect((await statusOf(id)).image).toMatchObject(shown)
})

test('a verbose status holds the whole config as JSON, what cri-ts does not read of it too', async () => {
  const spec = {
    created: '2026-01-02T03:04:05Z',
    ...{ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } },
    config: { User: '7', Labels: { version: '1' }, ExposedPorts: { '80/tcp': {} } },
    history: [{ created_by: 'a test' }],
  }
  const id = await addConfig(spec, [])
  const { info } = await statusOf(id, true)
  expect(JSON.parse(info['info'] ?? '')).toEqual({
    pulledAt: '2023-11-14T22:13:20.000Z',
    imageSpec: spec,
  })
  expect((await statusOf(id)).info).toEqual({})
})

test('a list has each image once with all its names, a filter leaves the one that it names', async () => {
  const one = await addImage('1', ['docker.io/library/a:1', 'docker.io/library/a:2'])
  const two = await addImage('2', ['docker.io/library/b:latest'])
  const all = await service().listImages({ filter: undefined }, call)
  expect(all.images.map(({ id, repoTags }) => [id, repoTags])).toEqual([
    [one, ['docker.io/library/a:1', 'docker.io/library/a:2']],
    [two, ['docker.io/library/b:latest']],
  ])
  const named = await service().listImages({ filter: { image: spec('b') } }, call)
  expect(named.images.map(({ id }) => id)).toEqual([two])
  expect(await service().listImages({ filter: { image: spec('c') } }, call)).toEqual({ images: [] })
})

test('a stream gives every image once', async () => {
  const ids: string[] = []
  for (let number = 0; number < 250; number += 1) ids.push(await addImage(String(number), []))
  const streamed: string[] = []
  for await (const { images } of service().streamImages({ filter: undefined }, call)) {
    streamed.push(...images.map(({ id }) => id))
  }
  expect(streamed).toEqual(ids)
})

test('an image goes with all its names; to remove one that is not here succeeds', async () => {
  await addImage('', ['docker.io/library/a:1', 'docker.io/library/a:2'])
  await service().removeImage({ image: spec('a:1') }, call)
  expect(store.list()).toEqual([])
  expect(await service().removeImage({ image: spec('a:1') }, call)).toEqual({})
})

test.for(['', 'UPPER', 'a@sha256:1'])('"%s" is an invalid argument of every call', async (name) => {
  const { imageStatus, removeImage } = service()
  const refusal = expect.objectContaining({ kind: 'invalid-argument' })
  await expect(async () => imageStatus({ image: spec(name), verbose: false }, call)).rejects.toThrow(refusal)
  await expect(async () => removeImage({ image: spec(name) }, call)).rejects.toThrow(refusal)
})

test('a pull hands reference and credentials on, and answers the id', async () => {
  const auth = {
    username: 'u',
    password: 'p',
    auth: 'a',
    serverAddress: 's',
    identityToken: 'i',
    registryToken: 'r',
  }
  const request = { image: spec('busybox'), auth, sandboxConfig: undefined }
  expect(await service().pullImage(request, call)).toEqual({ imageRef: 'sha256:pulled' })
  expect(pulls).toEqual([{ reference: 'busybox', auth }])
})

test('a pull for a runtime handler that is not there is refused', async () => {
  const pull = (runtimeHandler: string) =>
    service().pullImage(
      { image: { ...spec('a'), runtimeHandler }, auth: undefined, sandboxConfig: undefined },
      call,
    )
  expect(await pull('runc')).toEqual({ imageRef: 'sha256:pulled' })
  await expect(pull('kata')).rejects.toMatchObject({
    kind: 'invalid-argument',
    message: expect.stringContaining('image.runtime_handler is kata'),
  })
})

test.for([
  ['unavailable', status.UNKNOWN, /^RegistryUnavailable: pull a: no answer: by a test$/],
  ['unverified', status.UNKNOWN, /^pull a: no answer/],
  ['not-found', status.NOT_FOUND, /^pull a: no answer/],
  ['unauthenticated', status.UNAUTHENTICATED, /^pull a: no answer/],
] as const)('a pull that fails as %s is told so that kubelet knows why', async ([kind, code, details]) => {
  failure = new CriError(kind, 'pull a: no answer', { cause: new Error('by a test') })
  const pulled = service().pullImage({ image: spec('a'), auth: undefined, sandboxConfig: undefined }, call)
  const thrown: unknown = await Promise.resolve(pulled).catch((error: unknown) => error)
  expect(toGrpcStatus(thrown)).toEqual({ code, details: expect.stringMatching(details) })
})

test('the file system of images and containers is one', async () => {
  await addImage('', [])
  const { imageFilesystems, containerFilesystems } = await service().imageFsInfo({}, call)
  expect(imageFilesystems).toEqual([
    {
      timestamp: 42n,
      fsId: { mountpoint: '/images' },
      usedBytes: { value: BigInt(store.list()[0]?.sizeBytes ?? 0) },
      inodesUsed: { value: 0n },
    },
  ])
  expect(containerFilesystems).toEqual(imageFilesystems)
})

test.for([
  ['PullImageRequest', PullImageRequest, 'pullImage'],
  ['ImageStatusRequest', ImageStatusRequest, 'imageStatus'],
  ['RemoveImageRequest', RemoveImageRequest, 'removeImage'],
  ['ListImagesRequest', ListImagesRequest, 'listImages'],
] as const)('every field of %s is read', async ([name, codec, method]) => {
  await addImage('', ['docker.io/library/x:latest'])
  const whole = populated<object>(name, codec)
  const { message, read } = recording(whole)
  await Promise.resolve(service()[method](message as never, call))
  expect(unreadFields(whole, read)).toEqual([])
})

test('every field of StreamImagesRequest is read', async () => {
  const whole = populated('StreamImagesRequest', StreamImagesRequest)
  const { message, read } = recording(whole)
  for await (const _ of service().streamImages(message, call));
  expect(unreadFields(whole, read)).toEqual([])
})
