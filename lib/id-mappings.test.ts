import { expect, test } from 'vitest'
import { hostIdOf } from './id-mappings.ts'

test('an id is outside what its mapping says, from the first to the last', () => {
  const mapping = { containerId: 10, hostId: 1000, length: 5 }
  expect([9, 10, 14, 15].map((id) => hostIdOf(mapping, id))).toEqual([undefined, 1000, 1004, undefined])
})
