import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { BlobOutput } from './erofs-blob.ts'
import { ErofsLayerWriter } from './erofs-layer-writer.ts'
import { LayerWriter } from './layer-writer.ts'
import type { TarEntry } from './tar-entry.ts'

const LIMIT = 2_000_000
/** Of a busy host. */
const timeout = 30_000
const tooMuch = (limitMb: number): RegExp => new RegExp(`take more than ${limitMb} MiB`)

function entryOf(name: string, type: TarEntry['type'], linkName: string): TarEntry {
  const about = { mode: 0o644, uid: 0, gid: 0, sizeBytes: 0, major: 0, minor: 0 }
  return { ...about, name, type, linkName, mtime: { seconds: 0, nanoseconds: 0 }, xattrs: new Map() }
}

const nowhere: BlobOutput = { write() {}, read: () => Buffer.alloc(0), hole() {}, [Symbol.dispose]() {} }
const blobWriter = (): ErofsLayerWriter => new ErofsLayerWriter(nowhere, LIMIT)

function entries(entry: (index: number) => void, count: number): void {
  for (let index = 0; index < count; index += 1) entry(index)
}

test('hard links to what a layer below may have are bounded, however short: a blob', { timeout }, () => {
  using writer = blobWriter()
  const link = (index: number) => writer.entry(entryOf(`${index}`, 'hard-link', 't'), 0)
  expect(() => entries(link, 500_000)).toThrow(tooMuch(192))
})

test('hard links to what a layer below may have are bounded, however short: a directory', { timeout }, () => {
  const home = mkdtempSync(join(tmpdir(), 'layer-memory-'))
  using undo = new DisposableStack()
  undo.defer(() => rmSync(home, { recursive: true }))
  using writer = new LayerWriter(home, LIMIT)
  const target = 't'.repeat(250)
  const link = (index: number) => writer.entry(entryOf(`${index}`.padEnd(250, 'x'), 'hard-link', target))
  expect(() => entries(link, 80_000)).toThrow(tooMuch(64))
})

test('symbolic links of a blob are bounded by what they lead to', { timeout }, () => {
  using writer = blobWriter()
  const target = 'x'.repeat(4000)
  const link = (index: number) => writer.entry(entryOf(`${index}`, 'symbolic-link', target), 0)
  expect(() => entries(link, 60_000)).toThrow(tooMuch(192))
})
