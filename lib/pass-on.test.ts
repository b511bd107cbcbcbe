import { PassThrough, Readable, Writable } from 'node:stream'
import { expect, test, vi } from 'vitest'
import { passOn } from './pass-on.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Takes what it is given when it is told to. */
function reluctant() {
  const given: Buffer[] = []
  let taken: (() => void) | undefined
  const target = new Writable({
    highWaterMark: 1,
    write(chunk: Buffer, _encoding, done) {
      given.push(chunk)
      taken = done
    },
  })
  return { target, given, take: () => taken?.() }
}

test('all is passed on, and has ended once the target has taken it', async () => {
  const source = new PassThrough()
  const { target, given, take } = reluctant()
  let ended = false
  void passOn(source, target).ended.then(() => {
    ended = true
  })
  source.end('all')
  await turn()
  await turn()
  expect([`${given}`, ended, target.writableEnded]).toEqual(['all', false, false])
  take()
  await turn()
  expect(ended).toBe(true)
})

test('the end is passed on where it is to be', async () => {
  const source = new PassThrough()
  const target = new PassThrough()
  passOn(source, target, { end: true })
  source.end()
  await new Promise((resolve) => target.resume().once('end', resolve))
})

test('a target that is full holds up the source, which counts as no idleness', async () => {
  const source = new PassThrough()
  const { target, given, take } = reluctant()
  const passing = passOn(source, target)
  source.write('one')
  await turn()
  source.write('two')
  await turn()
  expect([given.map(String), source.isPaused(), passing.idleMs()]).toEqual([['one'], true, 0])
  take()
  await vi.waitFor(() => expect(given.map(String)).toEqual(['one', 'two']))
})

test('a target that goes loses the rest, and the source flows on', async () => {
  const source = new PassThrough()
  const { target } = reluctant()
  const { ended } = passOn(source, target)
  source.write('one')
  await turn()
  target.destroy(new Error('gone'))
  source.end('two')
  await ended
})

test('what has no target is read and dropped', async () => {
  const source = new PassThrough()
  const { ended } = passOn(source, undefined)
  source.end('x'.repeat(1 << 20))
  await ended
})

test('a source that fails has ended', async () => {
  const source = new PassThrough()
  const { ended, idleMs } = passOn(source, undefined)
  source.destroy(new Error('EIO'))
  await ended
  expect(idleMs()).toBe(Number.POSITIVE_INFINITY)
})

test('a source that always has more gives way after its share of a turn', async () => {
  const chunk = Buffer.alloc(64 << 10)
  const source = new Readable({
    highWaterMark: 1 << 20,
    read() {
      this.push(chunk)
    },
  })
  let passedBytes = 0
  const target = new Writable({
    write(data: Buffer, _encoding, done) {
      passedBytes += data.length
      done()
    },
  })
  passOn(source, target)
  const most: number[] = []
  for (let round = 0; round < 20; round += 1) {
    const before = passedBytes
    await turn()
    most.push(passedBytes - before)
  }
  source.destroy()
  expect(Math.max(...most)).toBeLessThanOrEqual(320 << 10)
  expect(passedBytes).toBeGreaterThan(1 << 20)
})
