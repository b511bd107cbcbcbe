import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseChallenges } from './auth-challenge.ts'

const read = (...values: string[]) =>
  parseChallenges(values).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)])

test.for([
  [['Basic realm="x"'], [['basic', { realm: 'x' }]]],
  [
    ['Bearer realm="https://auth.x/token",service="registry.x",scope="repository:a/b:pull,push"'],
    [['bearer', { realm: 'https://auth.x/token', service: 'registry.x', scope: 'repository:a/b:pull,push' }]],
  ],
  [
    ['Basic realm="a, b", Bearer realm = "c" , error="invalid_token"'],
    [
      ['basic', { realm: 'a, b' }],
      ['bearer', { realm: 'c', error: 'invalid_token' }],
    ],
  ],
  [
    ['Negotiate', 'BASIC Realm=plain'],
    [
      ['negotiate', {}],
      ['basic', { realm: 'plain' }],
    ],
  ],
  [
    ['Negotiate YWJj==, Basic realm="x"'],
    [
      ['negotiate', {}],
      ['basic', { realm: 'x' }],
    ],
  ],
  [
    ['Negotiate, Basic realm="x"'],
    [
      ['negotiate', {}],
      ['basic', { realm: 'x' }],
    ],
  ],
  [['Basic realm="say \\"hi\\""'], [['basic', { realm: 'say "hi"' }]]],
  [
    ['Basic realm="open'],
    [
      ['basic', {}],
      ['realm', {}],
    ],
  ],
  [[''], []],
] as const)('%j is read', ([values, challenges]) => {
  expect(read(...values)).toEqual(challenges)
})

test('any text is read in bounded time, and what was quoted comes back', () => {
  fc.assert(
    fc.property(fc.string(), fc.string({ unit: 'grapheme-ascii' }), (noise, realm) => {
      const quoted = realm.replace(/[\\"]/g, '\\$&')
      expect(read(`Bearer realm="${quoted}"`)).toEqual([['bearer', { realm }]])
      parseChallenges([noise])
    }),
  )
})
