import { afterEach, expect, test } from 'vitest'
import { digestOf } from '#test/fakes/fake-registry.ts'
import { breakOff, drip, staySilent } from '#test/fakes/fake-registry-behaviours.ts'
import { type PullLab, pullLab } from '#test/fakes/pull-lab.ts'
import { PullWatch } from './pull-watch.ts'

const never = new AbortController().signal
let lab: PullLab | undefined
afterEach(async () => {
  await lab?.[Symbol.asyncDispose]()
  lab = undefined
})

async function open(progressTimeoutMs: number) {
  lab = await pullLab(undefined, undefined, { progressTimeoutMs })
  const image = lab.registry.addImage('a', 'v1', { layers: ['x'.repeat(5000)] })
  const blob = image.layers[0]?.blob ?? Buffer.alloc(0)
  return { lab, image, blob, path: new RegExp(`GET .*blobs/${digestOf(blob)}`) }
}

test('a layer of which no byte comes ends the pull, which says what was waited for', async () => {
  const { lab, blob, path } = await open(500)
  lab.registry.misbehave(path, breakOff(blob, 3, { stall: true }), 9)
  const { kind, message } = await lab.failureOf('a:v1')
  expect(kind).toBe('deadline-exceeded')
  expect(message).toBe(
    `pull ${lab.registry.host}/a:v1: no byte came for 0.5 s of layer ${digestOf(blob)}: ` +
      'see to the network or the registry, or allow more time by image.pull_progress_timeout',
  )
  expect(lab.store.list()).toEqual([])
})

test('so does a manifest that does not come', async () => {
  const { lab } = await open(500)
  lab.registry.misbehave(/manifests/, staySilent, 9)
  expect((await lab.failureOf('a:v1')).message).toContain('no byte came for 0.5 s of the manifest')
})

test('time counts over all attempts: another attempt is no progress', async () => {
  const { lab, path } = await open(500)
  lab.registry.misbehave(path, staySilent, 9)
  expect((await lab.failureOf('a:v1')).kind).toBe('deadline-exceeded')
})

test('a layer that comes slowly is waited for, however long it takes', async () => {
  const { lab, image, blob, path } = await open(1000)
  lab.registry.misbehave(path, drip(blob, 30, 40))
  expect(await lab.pull('a:v1')).toBe(image.id)
  lab.isWhole(image)
})

test('who takes the bytes slowly is waited for', async () => {
  using watch = new PullWatch(10, never)
  const chunks = async function* () {
    yield [Buffer.from('a')]
    yield [Buffer.from('b')]
  }
  for await (const _ of watch.chunks('it', chunks())) {
    const began = performance.now()
    await expect.poll(() => performance.now() - began, { interval: 5 }).toBeGreaterThan(60)
  }
  expect(watch.signal.aborted).toBe(false)
})
test('a timeout of 0 is none', async () => {
  const { lab, image, path } = await open(0)
  lab.registry.misbehave(path, staySilent, 1) // Given up by the attempt's own time.
  expect(await lab.pull('a:v1')).toBe(image.id)
})
