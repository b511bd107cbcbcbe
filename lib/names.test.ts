import { expect, test } from 'vitest'
import { nearestName } from './names.ts'

test.for([
  ['log_levle', 'log_level'],
  ['stat', 'state'],
  ['conmon', undefined],
] as const)('%s is taken for %s', ([mistyped, meant]) => {
  expect(nearestName(mistyped, ['log_level', 'root', 'state', 'listen'])).toBe(meant)
})
