import { gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { blockingDecoder } from './blocking-decoder.ts'
import type { Compression } from './layer-decoder.ts'

const compressors = { gzip: gzipSync, zstd: zstdCompressSync }
const text = Buffer.from(Array.from({ length: 100_000 }, (_, index) => `line ${index}\n`).join(''))

function decoded(compression: Compression, blob: Buffer, pieceBytes = 1000): Buffer {
  using decoder = blockingDecoder(compression)
  const copies: Buffer[] = []
  const keep = (chunks: Iterable<Buffer>): void => {
    for (const chunk of chunks) copies.push(Buffer.from(chunk))
  }
  for (let at = 0; at < blob.length; at += pieceBytes)
    keep(decoder.decode(blob.subarray(at, at + pieceBytes)))
  keep(decoder.finish())
  return Buffer.concat(copies)
}

describe.for(['gzip', 'zstd'] as const)('%s', (compression) => {
  const compress = compressors[compression]
  const blob = compress(text)

  test.for([1, 1000, 1 << 20])('what comes in pieces of %i bytes is decompressed', (pieceBytes) => {
    const some = compress(text.subarray(0, 20_000))
    expect(decoded(compression, some, pieceBytes).equals(text.subarray(0, 20_000))).toBe(true)
    expect(decoded(compression, blob, Math.max(pieceBytes, 100)).equals(text)).toBe(true)
  })

  test('one after the other is decompressed as one', () => {
    expect(decoded(compression, Buffer.concat([blob, blob])).equals(Buffer.concat([text, text]))).toBe(true)
  })

  test('what a small blob becomes comes in small pieces', () => {
    using decoder = blockingDecoder(compression)
    const sizes = [...decoder.decode(compress(Buffer.alloc(10 << 20)))].map(({ length }) => length)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(256 << 10)
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(10 << 20)
  })

  test('damage is told with its code', () => {
    const damaged = Buffer.from(blob)
    damaged.fill(0xff, 12, 60)
    const code = expect.stringMatching(/^(?:Z_|ZSTD_)/)
    expect(() => decoded(compression, damaged)).toThrow(expect.objectContaining({ code }))
  })

  test('nothing is nothing', () => {
    expect(decoded(compression, compress(Buffer.alloc(0)))).toHaveLength(0)
  })
})

test('a gzip that is cut off is told of, and what follows its end is passed over', () => {
  const blob = gzipSync(text)
  expect(() => decoded('gzip', blob.subarray(0, -20))).toThrow(
    expect.objectContaining({ code: 'Z_BUF_ERROR' }),
  )
  expect(decoded('gzip', Buffer.concat([blob, Buffer.alloc(5000)])).equals(text)).toBe(true)
})
