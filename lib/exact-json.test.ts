import { expect, test } from 'vitest'
import { exactNumber, parseExact } from './exact-json.ts'

const limits =
  '{"hard":18446744073709551615,"soft":1024,"name":"18446744073709551615","list":[1.5,9007199254740993]}'

test('what is passed on is as it was, large numbers and all', () => {
  expect(JSON.stringify(parseExact(limits))).toBe(limits)
  expect(parseExact(limits)).toMatchObject({ soft: 1024, list: [1.5, expect.anything()] })
})

test('an exact number is written as it is', () => {
  expect(JSON.stringify({ hard: exactNumber('18446744073709551615') })).toBe('{"hard":18446744073709551615}')
})
