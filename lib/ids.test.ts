import { expect, test } from 'vitest'
import { newId, resolveId } from './ids.ts'

const ids = ['abc1', 'abc2', 'def', 'abc']

test('an id is 64 hexadecimal digits', () => {
  expect(newId()).toMatch(/^[0-9a-f]{64}$/)
})

test.for([
  ['def', 'def'],
  ['d', 'def'],
  ['abc', 'abc'],
] as const)('%s names %s', ([wanted, found]) => {
  expect(resolveId('container', wanted, ids)).toBe(found)
})

test.for([
  ['', 'invalid-argument', 'container_id is empty: name a container'],
  ['ab', 'invalid-argument', 'ambiguous, 3 begin with it'],
  ['x', 'not-found', 'container x not found'],
] as const)('"%s" is refused: %s', ([wanted, kind, message]) => {
  expect(() => resolveId('container', wanted, ids)).toThrow(
    expect.objectContaining({ kind, message: expect.stringContaining(message) }),
  )
})
