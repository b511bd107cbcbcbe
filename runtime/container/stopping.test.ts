import { expect, test } from 'vitest'
import { Stopping } from './stopping.ts'

/** Time that moves when a test says so. */
function handClock() {
  let now = 0
  const sleepers = new Set<{ readonly until: number; readonly wake: () => void }>()
  return {
    nowMs: () => now,
    sleep: (timeMs: number, signal: AbortSignal) =>
      new Promise<void>((wake) => {
        const sleeper = { until: now + timeMs, wake }
        sleepers.add(sleeper)
        signal.addEventListener('abort', () => sleepers.delete(sleeper))
      }),
    async advance(timeMs: number): Promise<void> {
      await settled()
      now += timeMs
      for (const { until, wake } of sleepers) if (until <= now) wake()
      await settled()
    },
    sleepers,
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function container() {
  const exited = Promise.withResolvers<void>()
  const done: string[] = []
  const act = {
    exited: exited.promise,
    ask: async () => void done.push('ask'),
    kill: async () => void done.push('kill'),
  }
  return { exit: exited.resolve, fail: exited.reject, done, act }
}

test('one that ends when it is asked is not killed', async () => {
  const clock = handClock()
  const { exit, done, act } = container()
  const stop = new Stopping(clock).stop('a', 10_000, act)
  await clock.advance(9_999)
  exit()
  await stop
  expect(done).toEqual(['ask'])
  expect(clock.sleepers.size).toBe(0)
})

test('one that does not end is killed when its grace period is over', async () => {
  const clock = handClock()
  const { exit, done, act } = container()
  const stop = new Stopping(clock).stop('a', 10_000, act)
  await clock.advance(9_999)
  expect(done).toEqual(['ask'])
  await clock.advance(1)
  expect(done).toEqual(['ask', 'kill'])
  exit()
  await stop
})

test('without a grace period it is killed and not asked', async () => {
  const { exit, done, act } = container()
  const stop = new Stopping(handClock()).stop('a', 0, act)
  exit()
  await stop
  expect(done).toEqual(['kill'])
})

test('a second stop with a shorter grace period shortens the first, a longer one changes nothing', async () => {
  const clock = handClock()
  const { exit, done, act } = container()
  const stopping = new Stopping(clock)
  const first = stopping.stop('a', 60_000, act)
  const longer = stopping.stop('a', 90_000, act)
  await clock.advance(1_000)
  const shorter = stopping.stop('a', 2_000, act)
  await clock.advance(1_999)
  expect(done).toEqual(['ask'])
  await clock.advance(1)
  expect(done).toEqual(['ask', 'kill'])
  exit()
  await Promise.all([first, longer, shorter])
})

test('one that hangs in the kernel is told of, and a later stop tries again', async () => {
  const clock = handClock()
  const { done, act, exit } = container()
  const stopping = new Stopping(clock)
  const stop = expect(stopping.stop('a', 0, act)).rejects.toMatchObject({
    kind: 'deadline-exceeded',
    message: expect.stringMatching(/container a was killed but does not end within 30 s.*state D/),
  })
  await clock.advance(30_000)
  await stop
  const again = stopping.stop('a', 0, act)
  exit()
  await again
  expect(done).toEqual(['kill', 'kill'])
})

test('an exit that cannot be recorded fails the stop, at whatever time', async () => {
  for (const waitMs of [0, 500, 1_500]) {
    const clock = handClock()
    const { fail, act } = container()
    const stop = expect(new Stopping(clock).stop('a', 1_000, act)).rejects.toThrow('disk full')
    await clock.advance(waitMs)
    fail(new Error('disk full'))
    await stop
    expect(clock.sleepers.size).toBe(0)
  }
})

test('a signal that cannot be sent fails the stop, and nothing is left under way', async () => {
  const { act, exit } = container()
  const stopping = new Stopping(handClock())
  const refuse = { ...act, ask: () => Promise.reject(new Error('no such signal')) }
  await expect(stopping.stop('a', 1_000, refuse)).rejects.toThrow('no such signal')
  exit()
  await stopping.stop('a', 1_000, act)
})
