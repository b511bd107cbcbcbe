import { beforeEach, expect, test } from 'vitest'
import { RegistryBreaker } from './registry-breaker.ts'
import type { RegistryEndpoint } from './registry-endpoint.ts'

let seconds = 0
let breaker: RegistryBreaker
beforeEach(() => {
  seconds = 0
  breaker = new RegistryBreaker({ nowNs: () => `${seconds}000000000` })
})

const endpoint = (host: string, caPems: readonly string[] = []) =>
  ({
    root: new URL(`https://${host}/v2`),
    tls: { caPems, client: [], skipVerify: false },
  }) as unknown as RegistryEndpoint
const m = endpoint('m')
const skips = () => breaker.skips(m) !== undefined

/** How long it is passed over after its `count`th failure in a row. */
function pauseAfter(count: number): number {
  let pause = 0
  for (let failure = 0; failure < count; failure += 1) {
    breaker.failed(m, 'refused')
    for (pause = 0; skips(); pause += 1) seconds += 1
  }
  return pause
}

test.for([
  [1, 30],
  [2, 60],
  [4, 240],
  [5, 300],
  [9, 300],
] as const)('after %i failures it is passed over for %i s', ([failures, pause]) => {
  expect(pauseAfter(failures)).toBe(pause)
})

test('one asks again while the others go on without, and another when that one never says what came of it', () => {
  pauseAfter(1)
  expect(skips()).toBe(true)
  seconds += 59
  expect(skips()).toBe(true)
  seconds += 1
  expect([skips(), skips()]).toEqual([false, true])
})

test('an answer makes it as new', () => {
  pauseAfter(3)
  breaker.answered(m)
  expect([skips(), breaker.state(m)]).toEqual([false, undefined])
  expect(pauseAfter(1)).toBe(30)
})

test('requests that fail together are one failure', () => {
  for (let request = 0; request < 8; request += 1) breaker.failed(m, 'refused')
  seconds = 30
  expect(skips()).toBe(false)
})

test('it says why, since when and until when', () => {
  breaker.failed(m, 'connection refused')
  seconds = 12
  expect(breaker.skips(m)).toBe(
    'passed over: it failed 12 s ago (connection refused) and is asked again in 18 s',
  )
  expect(breaker.state(m)).toEqual({
    state: 'open',
    why: 'connection refused',
    failures: 1,
    sinceMs: 0,
    retryMs: 30_000,
  })
  seconds = 30
  expect(breaker.state(m)?.state).toBe('half-open')
})

test('a new authority for its certificate is tried at once', () => {
  breaker.failed(m, 'unknown authority')
  expect(breaker.skips(endpoint('m', ['PEM']))).toBeUndefined()
  expect(breaker.skips(endpoint('m:5000'))).toBeUndefined()
})

test('a bounded number of endpoints is known, the latest', () => {
  for (let index = 0; index < 300; index += 1) breaker.failed(endpoint(`m${index}`), 'refused')
  const known = Array.from({ length: 300 }, (_, index) => breaker.state(endpoint(`m${index}`))).filter(
    Boolean,
  )
  expect(known).toHaveLength(256)
  expect(breaker.state(endpoint('m299'))).toBeDefined()
})
