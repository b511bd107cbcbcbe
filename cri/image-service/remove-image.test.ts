import { beforeEach, expect, test } from 'vitest'
import { FakeImageStore } from '#test/fakes/fake-image-store.ts'
import { removeImage } from './remove-image.ts'

const NAME = 'docker.io/library/a:1'
const nobody = () => {}
const log = { debug: nobody, info: nobody, warn: nobody, error: nobody }
const call = { log, signal: new AbortController().signal }
const image = { image: NAME, annotations: {}, userSpecifiedImage: '', runtimeHandler: '', imageRef: '' }

let store: FakeImageStore
beforeEach(async () => {
  store = new FakeImageStore()
  const config = Buffer.from('{"rootfs": {"diff_ids": []}}')
  await store.add({ config, manifestDigest: undefined, layers: [], tags: [NAME], digests: [] }, call.signal)
})

test('an image is gone at once, and its removal answered when its files are deleted', async () => {
  const files = Promise.withResolvers<void>()
  store.deleted = () => files.promise
  const order: string[] = []
  const removed = Promise.resolve(removeImage(store)({ image }, call)).then(() => order.push('answered'))
  expect(store.find(NAME)).toBeUndefined()
  order.push('deleted')
  files.resolve()
  await removed
  expect(order).toEqual(['deleted', 'answered'])
})

test.for([
  ['takes long', 1, call.signal],
  ['nobody waits for any more', undefined, AbortSignal.abort()],
] as const)(
  'the removal of an image whose deletion %s is answered all the same',
  async ([, limitMs, signal]) => {
    store.deleted = () => new Promise(() => {})
    expect(await removeImage(store, limitMs)({ image }, { log, signal })).toEqual({})
    expect(store.list()).toEqual([])
  },
)
