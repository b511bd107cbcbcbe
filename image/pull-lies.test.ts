import { afterEach, beforeEach, expect, test } from 'vitest'
import { digestOf, type FakeImage } from '#test/fakes/fake-registry.ts'
import { answerWith, breakOff, lieAboutLength } from '#test/fakes/fake-registry-behaviours.ts'
import { type PullLab, pullLab } from '#test/fakes/pull-lab.ts'

let lab: PullLab
let image: FakeImage
let blob: Buffer
let path: RegExp
beforeEach(async () => {
  lab = await pullLab()
  image = lab.registry.addImage('a', 'v1', { layers: ['x'.repeat(1000)] })
  blob = image.layers[0]?.blob ?? Buffer.alloc(0)
  path = new RegExp(`GET .*blobs/${digestOf(blob)}`)
})
afterEach(() => lab[Symbol.asyncDispose]())

test('a layer said to be shorter than it is: the rest is asked for', async () => {
  lab.registry.misbehave(path, lieAboutLength(blob, 9))
  expect(await lab.pull('a:v1')).toBe(image.id)
  lab.isWhole(image)
  expect(lab.gets(new RegExp(digestOf(blob))).map(({ headers }) => headers.range)).toEqual([
    undefined,
    'bytes=9-',
  ])
})

test('a layer said to be longer than it is: all of it came', async () => {
  lab.registry.misbehave(path, lieAboutLength(blob, blob.length + 9))
  expect(await lab.pull('a:v1')).toBe(image.id)
  lab.isWhole(image)
})

test('a layer that is longer than its manifest says is had from another endpoint', async () => {
  await lab.configureMirror()
  lab.mirror.addImage('a', 'v1', { layers: ['x'.repeat(1000)] })
  lab.mirror.misbehave(path, answerWith(200, {}, Buffer.concat([blob, blob])), 9)
  lab.mirror.ranges = false
  const failing = answerWith(404)
  lab.registry.misbehave(path, failing)
  const { message } = await lab.failureOf('a:v1')
  expect(message).toContain(`http://${lab.mirror.host}/v2/a/blobs/${digestOf(blob)}: more than the`)
  expect(message).toContain(`http://${lab.registry.host}/v2/a/blobs/${digestOf(blob)}: 404`)
  expect(lab.store.list()).toEqual([])
  expect(await lab.pull('a:v1')).toBe(image.id)
})

test('a layer may break off often, as long as much comes in between', async () => {
  const layer = Buffer.alloc(6 << 20, 'incompressible')
  const big = lab.registry.addImage('b', 'v1', { layers: [layer] })
  const broken = new RegExp(`GET .*blobs/${digestOf(layer)}`)
  lab.registry.ranges = false
  for (let mib = 1; mib < 6; mib += 1) lab.registry.misbehave(broken, breakOff(layer, (mib << 20) + mib))
  expect(await lab.pull('b:v1')).toBe(big.id)
  lab.isWhole(big)
})

test.for([429, 503] as const)(
  'a layer answered by %i is asked for again when the registry says',
  async (status) => {
    lab.registry.misbehave(path, answerWith(status, { 'retry-after': '3' }))
    expect(await lab.pull('a:v1')).toBe(image.id)
    expect(lab.pauses).toEqual([3000])
  },
)

test('a layer answered by 500 every time names the registry and the status, and nothing stays', async () => {
  lab.registry.misbehave(path, answerWith(500), 99)
  const { kind, message } = await lab.failureOf('a:v1')
  expect(kind).toBe('unavailable')
  expect(message).toContain(
    `cannot fetch layer ${digestOf(blob)}: http://${lab.registry.host}/v2/a/blobs/${digestOf(blob)}: 500`,
  )
  expect(lab.pauses).toEqual([10, 20])
  expect(lab.store.list()).toEqual([])
})
