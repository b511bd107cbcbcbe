import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { readSmallFile } from './small-file.ts'

const directory = mkdtempSync(join(tmpdir(), 'cri-ts-small-file-'))
afterAll(() => rmSync(directory, { recursive: true }))

function made(name: string, content: string): string {
  writeFileSync(join(directory, name), content)
  return join(directory, name)
}

test('a file is read as text, through links and up to its limit', () => {
  const file = made('file', 'é'.repeat(1 << 19))
  symlinkSync(file, join(directory, 'link'))
  expect(readSmallFile(join(directory, 'link'))).toBe('é'.repeat(1 << 19))
  expect(readSmallFile(made('empty', ''))).toBe('')
})

test.for<[what: string, path: () => string, message: string]>([
  ['a missing one', () => join(directory, 'none'), 'it does not exist'],
  ['one below a file', () => join(made('a', ''), 'b'), 'a part of its path is not a directory'],
  ['a directory', () => directory, 'it is not a regular file'],
  ['a FIFO that nobody writes to', fifo, 'it is not a regular file'],
  ['an endless one', () => '/dev/zero', 'it is not a regular file'],
  ['a large one', () => made('large', 'x'.repeat((1 << 20) + 1)), 'it is larger than 1048576 bytes'],
])('%s is refused', ([, path, message]) => {
  expect(() => readSmallFile(path())).toThrow(expect.objectContaining({ kind: 'invalid-argument', message }))
})

function fifo(): string {
  const path = join(directory, 'fifo')
  execFileSync('mkfifo', [path])
  return path
}
