import { linkSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { measureTree } from './tree-usage.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cri-ts-tree-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const at = (...names: readonly string[]): string => join(directory, ...names)
const bytesOf = (path: string): number => statSync(path).blocks * 512

test('counts blocks and inodes of all that is below, a file of two names once', () => {
  mkdirSync(at('d'))
  writeFileSync(at('d/big'), Buffer.alloc(100_000, 'x'))
  writeFileSync(Buffer.from(at('d/\xff\xfe'), 'latin1'), Buffer.alloc(5000, 'x'))
  linkSync(at('d/big'), at('d/same'))
  const usage = measureTree(directory, 10_000)
  const other = statSync(Buffer.from(at('d/\xff\xfe'), 'latin1')).blocks * 512
  expect(usage).toMatchObject({ usedInodes: 4, isWhole: true })
  expect(usage.usedBytes).toBe(bytesOf(directory) + bytesOf(at('d')) + bytesOf(at('d/big')) + other)
})

test('a link is counted and not followed, also as the root of a tree', () => {
  mkdirSync(at('outside'))
  writeFileSync(at('outside/file'), 'x')
  mkdirSync(at('tree'))
  symlinkSync(at('outside'), at('tree/link'))
  expect(measureTree(at('tree'), 10_000).usedInodes).toBe(2)
  expect(measureTree(at('tree/link'), 10_000).usedInodes).toBe(1)
})

test('what is not there takes nothing', () => {
  expect(measureTree(at('missing'), 10_000)).toMatchObject({ usedBytes: 0, usedInodes: 0, isWhole: true })
})

test('one that takes too long is not whole', () => {
  for (const name of ['a', 'b', 'c']) writeFileSync(at(name), '')
  let now = 0
  const usage = measureTree(directory, 3, () => ++now)
  expect(usage.isWhole).toBe(false)
  expect(usage.usedInodes).toBeLessThan(4)
})

test('one that is too deep is not whole', () => {
  mkdirSync(at(...Array.from({ length: 210 }, () => 'd')), { recursive: true })
  expect(measureTree(directory, 10_000)).toMatchObject({ usedInodes: 201, isWhole: false })
})
