import { expect, test } from 'vitest'
import { columns, humanSize } from './columns.ts'

test('columns are as wide as their widest cell, and lines end where their text ends', () => {
  expect(
    columns([
      ['ID', 'NAME'],
      ['long id', 'a'],
      ['b', ''],
    ]),
  ).toBe('ID       NAME\nlong id  a\nb\n')
})

test.for([
  [0, '0B'],
  [999, '999B'],
  [1000, '1kB'],
  [4_261_500, '4.26MB'],
  [999_999, '1000kB'],
  [5e15, '5000TB'],
] as const)('%d bytes are %s', ([sizeBytes, shown]) => {
  expect(humanSize(sizeBytes)).toBe(shown)
})
