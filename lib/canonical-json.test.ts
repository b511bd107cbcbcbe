import { expect, test } from 'vitest'
import { canonicalJson } from './canonical-json.ts'

test('the order of keys does not matter, the order of items does', () => {
  expect(canonicalJson({ b: { d: 1, c: undefined }, a: [2, 1] })).toBe('{"a":[2,1],"b":{"d":1}}')
  expect(canonicalJson({ a: [2, 1], b: { d: 1 } })).toBe(canonicalJson({ b: { d: 1 }, a: [2, 1] }))
  expect(canonicalJson([1, 2])).not.toBe(canonicalJson([2, 1]))
})
