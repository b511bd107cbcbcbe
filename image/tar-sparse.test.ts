import { execFileSync } from 'node:child_process'
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readTar } from '#test/fixtures/read-tar.ts'
import { type TarFile, tarOf } from '#test/fixtures/tar.ts'
import { parsePaxRecords } from './tar-header.ts'

const name = 'a-file-of-holes'
const BLOCK = 4096
let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sparse-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

/** With `count` pieces of a block each, a hole before each, and one at the end. */
function makeSparse(count: number): number {
  const fd = openSync(join(directory, name), 'w')
  for (let piece = 0; piece < count; piece += 1)
    writeSync(fd, Buffer.alloc(BLOCK, 65 + piece), 0, BLOCK, (2 * piece + 1) * BLOCK)
  const sizeBytes = (2 * count + 3) * BLOCK
  ftruncateSync(fd, sizeBytes)
  closeSync(fd)
  return sizeBytes
}

describe.for(['--format=gnu', ...['0.0', '0.1', '1.0'].map((version) => `--sparse-version=${version}`)])(
  'GNU tar %s',
  (form) => {
    test.for([0, 1, 4, 5, 26, 200])('a file with %i pieces is read with its holes', (count) => {
      const sizeBytes = makeSparse(count)
      const format = form.startsWith('--format') ? [form] : ['--format=posix', form]
      const tar = execFileSync('tar', [
        '--sparse',
        '--hole-detection=seek',
        ...format,
        '-cf',
        '-',
        '-C',
        directory,
        name,
      ])
      const [file, ...others] = readTar(tar, 1000)
      expect(others).toEqual([])
      expect(file?.entry).toMatchObject({
        name,
        type: 'file',
        sizeBytes: count * BLOCK,
        sparse: { sizeBytes },
      })
      expect(file?.entry.sparse?.pieces).toEqual(
        Array.from({ length: count }, (_, piece) => ({ offset: (2 * piece + 1) * BLOCK, sizeBytes: BLOCK })),
      )
      expect(file?.content).toBe(
        Array.from({ length: count }, (_, piece) => Buffer.alloc(BLOCK, 65 + piece).toString('latin1')).join(
          '',
        ),
      )
    })
  },
)

const one = (map: string, size = '100'): TarFile => ({
  name,
  content: 'x'.repeat(10),
  pax: { 'GNU.sparse.size': size, 'GNU.sparse.map': map },
})
const text = (content: string): TarFile => ({
  name,
  content,
  pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '100' },
})

test('a map of as many records as a header has is read at once', () => {
  const content = Buffer.from('52 GNU.sparse.offset=111111111111111111111111111111\n'.repeat(20_000))
  const begun = performance.now()
  expect(parsePaxRecords(content).get('GNU.sparse.map')).toHaveLength(20_000 * 31 - 1)
  expect(performance.now() - begun).toBeLessThan(1000)
})

describe('a map that lies is refused', () => {
  test.for<[string, TarFile, RegExp]>([
    ['more data than pieces', one('0,5'), /sparse file of 5 bytes of data, and has 10/],
    ['less data than pieces', one('0,20'), /sparse file of 20 bytes of data, and has 10/],
    ['pieces over each other', one('0,6,5,4'), /over each other/],
    ['pieces backwards', one('20,5,0,5'), /over each other/],
    ['a piece behind the end', one('95,10'), /behind its end/],
    ['a piece without a size', one('0,10,20'), /without a size/],
    ['letters', one('0,1x'), /map that is none/],
    ['a size beyond all', one('0,10', '9007199254740991'), /the limit is 8 TiB/],
    ['no map', { name, pax: { 'GNU.sparse.size': '100' } }, /has no map/],
    ['a map longer than the data', text(`9\n${'1\n'.repeat(5)}`), /shorter than its map/],
    ['a map of no lines', text('1'.repeat(2000)), /map that is none/],
    ['pieces without number', text('100001\n'), /more than 100000 pieces/],
    ['nothing', text(''), /shorter than its map/],
  ])('%s', ([, file, message]) => {
    expect(() => readTar(tarOf([file]))).toThrow(message)
  })
})
