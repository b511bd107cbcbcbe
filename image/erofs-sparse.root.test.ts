import { execFileSync } from 'node:child_process'
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { useErofsLab } from '#test/fixtures/erofs-lab.ts'
import { digestOf } from '#test/fixtures/image.ts'
import { verifyBlob } from './erofs-tar.ts'

const lab = useErofsLab()
let home: string
beforeEach(() => {
  home = mkdtempSync('/var/lib/cri-ts-sparse-')
})
afterEach(() => rmSync(home, { recursive: true }))

/** A file with data at some places of it, which end and begin in the middle of blocks. */
function makeSparse(name: string, sizeBytes: number, places: readonly number[]): void {
  const fd = openSync(join(home, name), 'w')
  for (const place of places) writeSync(fd, `data at ${place}`.repeat(500), place)
  ftruncateSync(fd, sizeBytes)
  closeSync(fd)
}

const packed = (format: string): Buffer =>
  execFileSync('tar', ['--sparse', format, '-cf', '-', '-C', home, '.'])

describe.for(['--format=gnu', '--sparse-version=0.0', '--sparse-version=0.1', '--sparse-version=1.0'])(
  'files with holes in a blob, from GNU tar %s',
  (format) => {
    test('are what they were, without their holes on the disk, and a check finds them so', () => {
      makeSparse('ends-in-a-hole', 300 << 20, [0, 5_000_000, 200_000_001])
      makeSparse('ends-with-data', 100_005_000, [40_000_123, 100_000_000])
      makeSparse('is-all-hole', (50 << 20) + 1, [])
      const tar = packed(format)
      const root = lab.mounted(tar)
      for (const name of ['ends-in-a-hole', 'ends-with-data', 'is-all-hole']) {
        execFileSync('cmp', [join(root, name), join(home, name)])
      }
      expect(statSync(lab.blob).size).toBeGreaterThan(400 << 20)
      expect(statSync(lab.blob).blocks * 512).toBeLessThan(2 * tar.length + 100_000)
      expect(verifyBlob(lab.blob, digestOf(tar))).toEqual([])
    })
  },
)

test('data where a hole was is found by a check', () => {
  makeSparse('file', 100 << 20, [0, 90 << 20])
  const tar = packed('--format=gnu')
  lab.mounted(tar)
  const fd = openSync(lab.blob, 'r+')
  writeSync(fd, 'evil', 60 << 20)
  closeSync(fd)
  expect(verifyBlob(lab.blob, digestOf(tar))).toEqual([
    expect.stringMatching(/is not what its tar makes, from byte \d+ on/),
  ])
})

test('more than 64 GiB with their holes are refused, with the remedy', () => {
  makeSparse('huge', 2 ** 36 + 1, [0])
  expect(() => lab.mounted(packed('--format=gnu'))).toThrow(/64 GiB.*set image\.format to "overlay"/)
})
