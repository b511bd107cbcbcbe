import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { digestOf } from '#test/fixtures/image.ts'
import { pieces } from '#test/fixtures/image-sources.ts'
import { tarOf } from '#test/fixtures/tar.ts'
import { UntarPool } from './untar-pool.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync('/var/lib/cri-ts-big-')
})
afterEach(() => rmSync(home, { recursive: true }))

test('files that are written to the disk while they come are whole, whichever comes after which', async () => {
  const contents = [17 << 20, 5, (8 << 20) + 1].map((size, index) => Buffer.alloc(size, `file ${index} `))
  const tar = tarOf(contents.map((content, index) => ({ name: `f${index}`, content })))
  const digest = digestOf(tar)
  const limits = { sizeBytes: 1 << 30, entries: 10 }
  const directory = join(home, 'layer')
  await using pool = new UntarPool()
  const job = { directory, format: 'overlay', digest, diffId: digest, limits } as const
  await pool.untar(job, async () => pieces(tar, 100_001), new AbortController().signal)
  for (const [index, content] of contents.entries()) {
    expect(readFileSync(join(directory, `f${index}`)).equals(content)).toBe(true)
  }
})
