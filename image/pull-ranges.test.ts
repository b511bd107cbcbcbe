import { randomBytes } from 'node:crypto'
import { afterEach, expect, test } from 'vitest'
import { digestOf, type FakeImage, type FakeRegistry } from '#test/fakes/fake-registry.ts'
import { answerWith, breakOff, redirectTo } from '#test/fakes/fake-registry-behaviours.ts'
import { type PullLab, pullLab } from '#test/fakes/pull-lab.ts'
import { LayerSlots } from './layer-slots.ts'

const MIB = 1 << 20
const big = randomBytes(18 * MIB + 5)
const path = new RegExp(`GET .*blobs/${digestOf(big)}`)
const parts = [0, 4, 8, 12].map((mib) => `bytes=${mib * MIB}-${(mib + 4) * MIB - 1}`)
const allParts = [...parts, `bytes=${16 * MIB}-`]

/** Whoever waits in vain asks again, which none of these is about. */
const timeouts = { connectMs: 10_000, responseMs: 10_000, stallMs: 10_000 }

let lab: PullLab
async function open(slots?: LayerSlots): Promise<FakeImage> {
  lab = await pullLab(undefined, undefined, { slots, timeouts })
  return lab.registry.addImage('a', 'v1', { layers: [big] })
}
afterEach(() => lab[Symbol.asyncDispose]())

function freeSlots(slots: LayerSlots): number {
  using taken = new DisposableStack()
  for (let count = 0; ; count += 1) {
    const slot = slots.takeIdle()
    if (slot === undefined) return count
    taken.use(slot)
  }
}
const rangesAsked = (of = lab.registry) =>
  lab.gets(new RegExp(digestOf(big)), of).map(({ headers }) => headers.range)

test('a big layer is asked for in parts, each once', async () => {
  const image = await open()
  expect(await lab.pull('a:v1')).toBe(image.id)
  lab.isWhole(image)
  expect(rangesAsked()).toEqual(allParts)
  expect(lab.progress[0]?.layers[0]?.receivedBytes).toBe(big.length)
  // One that speaks no TLS, one for the part that comes, one for the next that is asked for meanwhile.
  expect(lab.registry.connections).toBeLessThanOrEqual(3)
})

test('what is no larger than two parts is asked for at once', async () => {
  await open()
  const layer = randomBytes(8 * MIB)
  const image = lab.registry.addImage('b', 'v1', { layers: [layer] })
  expect(await lab.pull('b:v1')).toBe(image.id)
  expect(lab.gets(new RegExp(digestOf(layer))).map(({ headers }) => headers.range)).toEqual([undefined])
})

test.for([
  ['ignores ranges', false, [parts[0]]],
  ['refuses ranges', 'refused', [parts[0], undefined]],
  ['answers with another range', 'wrong', [parts[0], undefined]],
] as const)('a registry that %s gives the whole layer', async ([, ranges, asked]) => {
  const image = await open()
  lab.registry.ranges = ranges
  expect(await lab.pull('a:v1')).toBe(image.id)
  lab.isWhole(image)
  expect(rangesAsked()).toEqual(asked)
})

test('parts come at once into the slots that are free, and the slots are free again', async () => {
  const slots = new LayerSlots(3)
  const image = await open(slots)
  const held = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  // The second part comes last: those behind it have to come meanwhile.
  let seen = 0
  lab.registry.misbehave(
    path,
    (_response, answer) => {
      seen += 1
      if (seen === 5) held.resolve()
      if (seen === 2) void goOn.promise.then(answer)
      else answer()
    },
    99,
  )
  const pulled = lab.pull('a:v1')
  await held.promise
  goOn.resolve()
  expect(await pulled).toBe(image.id)
  lab.isWhole(image)
  expect(rangesAsked()).toEqual(allParts)
  expect(freeSlots(slots)).toBe(3)
})

test('a part that breaks off is gone on with; the others are not asked for again', async () => {
  const image = await open(new LayerSlots(3))
  let seen = 0
  lab.registry.misbehave(
    path,
    (response, answer) => {
      seen += 1
      if (seen !== 3) return answer()
      response.writeHead(206, { 'content-length': 4 * MIB, 'content-range': `bytes ${8 * MIB}-` })
      response.write(big.subarray(8 * MIB, 9 * MIB), () => response.socket?.destroySoon())
    },
    99,
  )
  expect(await lab.pull('a:v1')).toBe(image.id)
  lab.isWhole(image)
  const [rest, ...more] = rangesAsked().filter((range) => !allParts.includes(range ?? ''))
  expect([/^bytes=(\d+)-12582911$/.test(rest ?? ''), more]).toEqual([true, []])
})

test('where it is redirected to is asked directly, and the registry again once that is over', async () => {
  await open()
  const layer = randomBytes(9 * MIB)
  const image = lab.registry.addImage('b', 'v1', { layers: [layer] })
  lab.mirror.addImage('x', 'v1', { layers: [layer] })
  const digest = digestOf(layer)
  const elsewhere = `http://${lab.mirror.host}/v2/x/blobs/${digest}?signed=1`
  lab.registry.misbehave(new RegExp(`GET .*${digest}`), redirectTo(elsewhere), 99)
  lab.mirror.misbehave(/signed/, (_response, answer) => answer(), 2)
  lab.mirror.misbehave(/signed/, answerWith(403), 1)
  expect(await lab.pull('b:v1')).toBe(image.id)
  const asked = (of: FakeRegistry) => lab.gets(new RegExp(digest), of).map(({ headers }) => headers.range)
  const last = `bytes=${8 * MIB}-`
  expect(asked(lab.registry)).toEqual([parts[0], last])
  expect(asked(lab.mirror)).toEqual([parts[0], parts[1], last, last])
})

test('a mirror that breaks off again and again is given up for the layer: the next has the rest', async () => {
  const image = await open()
  await lab.configureMirror()
  lab.mirror.addImage('a', 'v1', { layers: [big] })
  lab.mirror.ranges = false
  lab.mirror.misbehave(path, breakOff(big, 10), 99)
  expect(await lab.pull('a:v1')).toBe(image.id)
  lab.isWhole(image)
  expect(rangesAsked(lab.mirror)).toHaveLength(3)
  expect(rangesAsked()).toEqual(['bytes=10-'])
})

test('a pull that is given up leaves no part behind', async () => {
  const slots = new LayerSlots(4)
  await open(slots)
  const third = Promise.withResolvers<void>()
  let seen = 0
  lab.registry.misbehave(
    path,
    (_response, answer) => {
      seen += 1
      if (seen === 1) answer()
      if (seen === 3) third.resolve()
    },
    99,
  )
  const caller = new AbortController()
  const pulled = lab.puller.pull(`${lab.registry.host}/a:v1`, undefined, caller.signal)
  await third.promise
  caller.abort()
  await expect(pulled).rejects.toMatchObject({ kind: 'cancelled' })
  await expect.poll(() => freeSlots(slots)).toBe(4)
  expect(lab.store.list()).toEqual([])
})
