import { Readable } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { batchesOf } from './registry-body.ts'

/** All batches of a body that comes in these chunks. */
const batches = (chunks: readonly Buffer[]) =>
  Array.fromAsync(batchesOf(Readable.from(chunks, { objectMode: false }), () => () => {}))

test('the bytes are those that came, whatever the chunks', async () => {
  const chunk = fc
    .oneof(fc.nat(3), fc.integer({ min: 1000, max: 1050 }), fc.nat(70_000))
    .chain((size) => fc.integer({ min: 1, max: 255 }).map((byte) => Buffer.alloc(size, byte)))
  await fc.assert(
    fc.asyncProperty(fc.array(chunk, { maxLength: 60 }), async (chunks) => {
      const whole = Buffer.concat((await batches(chunks)).flat())
      expect(whole.equals(Buffer.concat(chunks))).toBe(true)
    }),
    { numRuns: 50 },
  )
})

test('a body in chunks of a byte takes no more memory than its bytes', async () => {
  const body = new Readable({ read() {} })
  for (let index = 0; index < 100_000; index += 1) body.push(Buffer.of(index & 255))
  body.push(null)
  const all = (await Array.fromAsync(batchesOf(body, () => () => {}))).flat()
  expect(all.reduce((sum, { byteLength }) => sum + byteLength, 0)).toBe(100_000)
  expect(all.length).toBeLessThan(20)
  expect(new Set(all.map(({ buffer }) => buffer)).size).toBeLessThan(10)
})

test('bytes that come one at a time share their memory', async () => {
  const body = new Readable({ read() {} })
  const seen: Uint8Array[] = []
  const reading = batchesOf(body, () => () => {})
  for (let index = 0; index < 1000; index += 1) {
    body.push(Buffer.of(index & 255))
    const { value = [] } = (await reading.next()) as { value?: readonly Uint8Array[] }
    seen.push(...value)
  }
  await reading.return(undefined)
  expect(Buffer.concat(seen)).toHaveLength(1000)
  expect(new Set(seen.map(({ buffer }) => buffer)).size).toBe(1)
})
