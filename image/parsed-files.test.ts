import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { namesIn, ParsedFiles } from './parsed-files.ts'

let directory = ''
let file = ''
let parsed: string[] = []
const files = () =>
  new ParsedFiles((text) => {
    parsed.push(text)
    if (text === 'bad') throw new Error('it is bad')
    return text.toUpperCase()
  })

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cri-ts-parsed-'))
  file = join(directory, 'f')
  parsed = []
})
afterEach(() => {
  vi.useRealTimers()
  rmSync(directory, { recursive: true })
})

/** As if everything that was written so far were old. */
function later(): void {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 1000 })
}

test('a file is parsed once, and again when it was written, replaced or gone', () => {
  const read = files()
  writeFileSync(file, 'one')
  later()
  expect([read.read(file), read.read(file), parsed.length]).toEqual(['ONE', 'ONE', 1])
  writeFileSync(join(directory, 'g'), 'two')
  renameSync(join(directory, 'g'), file)
  expect([read.read(file), read.read(file), parsed.length]).toEqual(['TWO', 'TWO', 2])
  rmSync(file)
  expect(read.read(file)).toBeUndefined()
})

test('a file that was written just now may change in the same tick: it is parsed each time', () => {
  const read = files()
  writeFileSync(file, 'one')
  expect([read.read(file), read.read(file), parsed.length]).toEqual(['ONE', 'ONE', 2])
})

test('a mistake is told each time', () => {
  const read = files()
  writeFileSync(file, 'bad')
  later()
  expect(() => read.read(file)).toThrow('it is bad')
  expect(() => read.read(file)).toThrow('it is bad')
})

test('what is no readable file is named', () => {
  expect(() => files().read(directory)).toThrow(`registry configuration ${directory} cannot be read`)
  expect(files().read(join(file, 'in a file'))).toBeUndefined()
})

test('no more than some hundred files are kept', () => {
  const read = files()
  const names = Array.from({ length: 501 }, (_, index) => join(directory, `n${index}`))
  for (const name of names) writeFileSync(name, 'x')
  later()
  for (const name of names) read.read(name)
  read.read(names.at(-1) ?? '')
  expect(parsed.length).toBe(501)
  read.read(names[0] ?? '')
  expect(parsed.length).toBe(502)
})

test('a directory that cannot be looked at is not taken for one that is not there', () => {
  expect(namesIn(join(directory, 'none'))).toEqual([])
  expect(() => namesIn(join(directory, 'x'.repeat(300)))).toThrow('cannot be read')
})
