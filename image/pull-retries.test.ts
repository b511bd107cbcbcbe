import { afterEach, beforeEach, expect, test } from 'vitest'
import { digestOf } from '#test/fakes/fake-registry.ts'
import { answerWith, breakOff, hangUp, staySilent } from '#test/fakes/fake-registry-behaviours.ts'
import { type PullLab, pullLab } from '#test/fakes/pull-lab.ts'

let lab: PullLab
beforeEach(async () => {
  lab = await pullLab()
})
afterEach(() => lab[Symbol.asyncDispose]())

test.for([
  ['an error 500', answerWith(500), [10]],
  ['an error 503', answerWith(503), [10]],
  ['a cut connection', hangUp, [10]],
  ['silence', staySilent, [10]],
  ['too many requests', answerWith(429, { 'retry-after': '2' }), [2000]],
] as const)('%s is tried again after a pause', async ([, behaviour, waited]) => {
  const image = lab.registry.addImage('a', 'v1')
  await lab.pull('a:v1') // From here on it is known to speak plain HTTP.
  lab.store.clear()
  lab.registry.misbehave(/^HEAD/, behaviour)
  expect(await lab.pull('a:v1')).toBe(image.id)
  expect(lab.pauses).toEqual(waited)
})

test('what fails every time is given up, with pauses that grow', async () => {
  lab.registry.addImage('a', 'v1')
  lab.registry.misbehave(/^HEAD/, answerWith(502), 9)
  const { kind, message } = await lab.failureOf('a:v1')
  expect(kind).toBe('unavailable')
  expect(message).toContain('502 bad gateway')
  expect(lab.pauses).toEqual([10, 20])
})

test('a pause longer than the longest is not waited for', async () => {
  lab.registry.addImage('a', 'v1')
  lab.registry.misbehave(/^HEAD/, answerWith(429, { 'retry-after': '3600' }), 9)
  expect((await lab.failureOf('a:v1')).message).toContain(
    '429 too many requests, it says to ask again after 3600 s',
  )
  expect(lab.pauses).toEqual([])
})

test.for([
  ['cut, the rest is asked for', true, {}],
  ['cut, what came is skipped where the registry has no ranges', false, {}],
  ['stalled, the rest is asked for', true, { stall: true }],
] as const)('a layer is %s', async ([, ranges, how]) => {
  const image = lab.registry.addImage('a', 'v1', { layers: ['x'.repeat(1000)] })
  const blob = image.layers[0]?.blob ?? Buffer.alloc(0)
  lab.registry.ranges = ranges
  lab.registry.misbehave(new RegExp(`GET .*blobs/${digestOf(blob)}`), breakOff(blob, 7, how))
  expect(await lab.pull('a:v1')).toBe(image.id)
  lab.isWhole(image)
  expect(lab.gets(new RegExp(digestOf(blob))).map(({ headers }) => headers.range)).toEqual([
    undefined,
    'bytes=7-',
  ])
  expect(lab.progress[0]?.layers).toEqual([
    { digest: digestOf(blob), phase: 'done', receivedBytes: blob.length, sizeBytes: blob.length },
  ])
})

test('a layer that breaks off every time is given up with the reason', async () => {
  const image = lab.registry.addImage('a', 'v1')
  const blob = image.layers[0]?.blob ?? Buffer.alloc(0)
  lab.registry.misbehave(new RegExp(`GET .*blobs/${digestOf(blob)}`), breakOff(blob, 1), 9)
  const { kind, message } = await lab.failureOf('a:v1')
  expect(kind).toBe('unavailable')
  expect(message).toContain(`cannot fetch layer ${digestOf(blob)}`)
  expect(lab.store.list()).toEqual([])
})
