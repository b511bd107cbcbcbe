import { afterEach, beforeEach, expect, test } from 'vitest'
import { digestOf, type FakeImage } from '#test/fakes/fake-registry.ts'
import { type PullLab, pullLab, user } from '#test/fakes/pull-lab.ts'

let lab: PullLab
beforeEach(async () => {
  lab = await pullLab()
})
afterEach(() => lab[Symbol.asyncDispose]())

/** Holds the requests for layers until it is told to go on. */
function holdLayers(image: FakeImage): { held: Promise<void>; release: () => void } {
  const held = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  const digest = digestOf(image.layers[0]?.blob ?? Buffer.alloc(0))
  lab.registry.misbehave(new RegExp(`GET .*blobs/${digest}`), (_response, answer) => {
    held.resolve()
    void go.promise.then(answer)
  })
  return { held: held.promise, release: go.resolve }
}

test('of one reference share the work', async () => {
  const image = lab.registry.addImage('library/a', 'latest')
  const { held, release } = holdLayers(image)
  const first = lab.pull('library/a')
  await held
  const second = lab.pull('library/a:latest')
  release()
  expect(await Promise.all([first, second])).toEqual([image.id, image.id])
  expect(lab.gets(/blobs/)).toHaveLength(2)
})

test('show the same progress: who comes later sees how far it is', async () => {
  const image = lab.registry.addImage('a', 'v1')
  const { held, release } = holdLayers(image)
  const first = lab.pull('a:v1')
  await held
  const second = lab.pull('a:v1')
  expect(lab.progress[1]?.layers).toMatchObject([{ phase: 'fetching', receivedBytes: 0 }])
  release()
  await Promise.all([first, second])
  expect(lab.progress[0]).toBe(lab.progress[1])
  expect(lab.progress[1]?.layers).toMatchObject([{ phase: 'done' }])
})

test('with other credentials do not', async () => {
  lab.registry.addImage('a', 'v1')
  lab.registry.auth = { kind: 'basic', username: 'u', password: 's3cret' }
  const results = await Promise.allSettled([lab.pull('a:v1', user), lab.pull('a:v1')])
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
})

test('outlive one caller who hangs up', async () => {
  const image = lab.registry.addImage('a', 'v1')
  const { held, release } = holdLayers(image)
  const caller = new AbortController()
  const first = lab.puller.pull(`${lab.registry.host}/a:v1`, undefined, caller.signal)
  const second = lab.pull('a:v1')
  await held
  caller.abort()
  await expect(first).rejects.toMatchObject({ kind: 'cancelled' })
  release()
  expect(await second).toBe(image.id)
})

test('end when every caller has hung up, and the next pull begins anew', async () => {
  const image = lab.registry.addImage('a', 'v1')
  const { held } = holdLayers(image)
  const callers = [new AbortController(), new AbortController()]
  const pulls = callers.map(({ signal }) => lab.puller.pull(`${lab.registry.host}/a:v1`, undefined, signal))
  await held
  for (const caller of callers) caller.abort()
  for (const given of pulls) await expect(given).rejects.toMatchObject({ kind: 'cancelled' })
  expect(lab.store.list()).toEqual([])
  expect(await lab.pull('a:v1')).toBe(image.id)
})

test('a caller who has hung up before starts nothing', async () => {
  const caller = new AbortController()
  caller.abort()
  await expect(lab.puller.pull(`${lab.registry.host}/a:v1`, undefined, caller.signal)).rejects.toMatchObject({
    kind: 'cancelled',
  })
  expect(lab.registry.requests).toEqual([])
})
