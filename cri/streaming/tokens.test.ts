import { expect, test } from 'vitest'
import { Tokens } from './tokens.ts'

test('a token has 128 bits, is good once, and only for its own request', () => {
  const tokens = new Tokens<string>()
  const [first, second] = [tokens.add('a'), tokens.add('b')]
  expect(Buffer.from(first, 'base64url')).toHaveLength(16)
  expect(first).not.toBe(second)
  expect(tokens.take(second)).toBe('b')
  expect(tokens.take(second)).toBeUndefined()
  expect(tokens.take(first)).toBe('a')
  expect(tokens.take('')).toBeUndefined()
})

test('it expires after a minute', () => {
  let nowMs = 0
  const tokens = new Tokens<string>(() => nowMs)
  const early = tokens.add('a')
  nowMs = 1
  const late = tokens.add('b')
  nowMs = 60_000
  expect(tokens.take(early)).toBeUndefined()
  expect(tokens.take(late)).toBe('b')
})

test('a thousand may wait; then none is given until one is used or expires', () => {
  let nowMs = 0
  const tokens = new Tokens<number>(() => nowMs)
  const given = Array.from({ length: 1000 }, (_, index) => tokens.add(index))
  expect(() => tokens.add(1000)).toThrow(/1000 streaming URLs wait/)
  expect(tokens.take(given[0] ?? '')).toBe(0)
  tokens.add(1000)
  expect(() => tokens.add(1001)).toThrow(/1000 streaming URLs wait/)
  nowMs = 60_000
  tokens.add(1001)
})
