import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseUniqueJson } from './policy-json.ts'

test('JSON with unique keys reads as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value, undefined, 1)
      expect(parseUniqueJson(text)).toEqual(JSON.parse(text))
    }),
  )
})

test.for([
  ['{"a":1,"a":2}', 'a'],
  ['{"x":[{"b":{"a":1},"b":2}]}', 'b'],
  [String.raw`{"a":1,"\u0061":2}`, 'a'],
  ['{"__proto__":1,"__proto__":2}', '__proto__'],
] as const)('%s is refused: a key stands twice', ([text, key]) => {
  expect(() => parseUniqueJson(text)).toThrow(`the key "${key}" stands twice in an object`)
})

test('a key of one object may be a value, and a key of another', () => {
  expect(parseUniqueJson('[{"a":"a","b":["a","a"]},{"a":{"a":1}}]')).toEqual([
    { a: 'a', b: ['a', 'a'] },
    { a: { a: 1 } },
  ])
})

test('what is no JSON is refused', () => {
  expect(() => parseUniqueJson('{"a":1')).toThrow(SyntaxError)
})
