import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CriError } from '#lib/errors.ts'
import { parseQuantity } from './quantity.ts'

test.for<[string, bigint]>([
  ['0', 0n],
  ['1', 1n],
  ['+12', 12n],
  ['-5', -5n],
  ['10M', 10_000_000n],
  ['1.5Gi', 1_610_612_736n],
  ['.5k', 500n],
  ['2.', 2n],
  ['500m', 1n],
  ['1001m', 2n],
  ['1n', 1n],
  ['-1500m', -1n],
  ['1E', 10n ** 18n],
  ['1Ei', 1n << 60n],
  ['1e3', 1_000n],
  ['1E3', 1_000n],
  ['125e-1', 13n],
])('%s is %d whole units', ([text, value]) => {
  expect(parseQuantity(text)).toBe(value)
})

test.for(['', '.', 'M', '1 M', '1MB', '1K', '0x10', '1e', '1e999', '--1', 'Infinity', `${'9'.repeat(70)}`])(
  '%j is refused',
  (text) => {
    expect(() => parseQuantity(text)).toThrow('is not a quantity')
  },
)

test('whatever the text is, it is parsed or refused by a CriError', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[+-]?[0-9.]*[numkMGTPEei0-9]*$/)), (text) => {
      try {
        return typeof parseQuantity(text) === 'bigint'
      } catch (error) {
        return error instanceof CriError && error.kind === 'invalid-argument'
      }
    }),
  )
})

test('a quantity grows with its number, and a suffix multiplies it', () => {
  const suffixes = fc.constantFrom(
    ['', 1n],
    ['k', 1000n],
    ['Mi', 1n << 20n],
    ['e6', 10n ** 6n],
    ['P', 10n ** 15n],
  )
  fc.assert(
    fc.property(fc.nat(), suffixes, (number, [suffix, factor]) => {
      expect(parseQuantity(`${number}${String(suffix)}`)).toBe(BigInt(number) * BigInt(factor))
      expect(parseQuantity(`${number}.5${String(suffix)}`)).toBeGreaterThan(
        BigInt(number) * BigInt(factor) - 1n,
      )
    }),
  )
})
