import { expect, test } from 'vitest'
import { durationMs } from './duration.ts'

test.for<[text: string, ms: number]>([
  ['4h', 14_400_000],
  ['1h30m', 5_400_000],
  ['20s', 20_000],
  ['1m500ms', 60_500],
  ['0s', 0],
  ['0', 0],
])('%s is %i ms', ([text, ms]) => {
  expect(durationMs(text)).toBe(ms)
})

test.for(['', '4', 'h', '-1s', '1.5h', '30m1h', '4 h', '1d'])('"%s" is no duration', (text) => {
  expect(durationMs(text)).toBeUndefined()
})
