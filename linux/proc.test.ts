import { expect, test } from 'vitest'
import { isAlive, parseStat, processOf } from './proc.ts'

test('a name with spaces and parentheses does not shift the fields of stat', () => {
  const fields = Array.from({ length: 50 }, (_, index) => `${index + 4}`)
  expect(parseStat(`42 (a) S (b) S ${fields.join(' ')}\n`)).toMatchObject({
    state: 'S',
    parent: 4,
    session: 6,
    startTimeTicks: '22',
  })
})

test('a process is known by its start time, not by its id alone', () => {
  const self = processOf(process.pid)
  expect(self).toBeDefined()
  if (self === undefined) return
  expect(isAlive(self)).toBe(true)
  expect(isAlive({ ...self, startTimeTicks: '1' })).toBe(false)
})
