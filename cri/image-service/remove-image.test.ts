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

test('an image is gone at once, and its removal answered when there is room', async () => {
  const files = Promise.withResolvers<void>()
  store.freed = () => files.promise
  const order: string[] = []
  const removed = Promise.resolve(removeImage(store)({ image }, call)).then(() => order.push('answered'))
  expect(store.find(NAME)).toBeUndefined()
  order.push('deleted')
  files.resolve()
  await removed
  expect(order).toEqual(['deleted', 'answered'])
})

test('the removal of an image whose deletion nobody waits for any more is answered all the same', async () => {
  store.freed = () => new Promise(() => {})
  expect(await removeImage(store)({ image }, { log, signal: AbortSignal.abort() })).toEqual({})
  expect(store.list()).toEqual([])
})
