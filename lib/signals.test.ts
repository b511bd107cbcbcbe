import { expect, test } from 'vitest'
import { signalNumber } from './signals.ts'

test.for([
  ['SIGTERM', 15],
  ['QUIT', 3],
  ['9', 9],
  ['SIGRTMIN', 34],
  ['SIGRTMIN+3', 37],
  ['SIGRTMAX-1', 63],
] as const)('%s is signal %i', ([name, number]) => {
  expect(signalNumber(name)).toBe(number)
})

test.for(['SIGNOPE', '', '0', '65', 'SIGRTMAX+1'])('"%s" is refused', (name) => {
  expect(() => signalNumber(name)).toThrow('is no signal')
})
