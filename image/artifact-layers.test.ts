import { Readable } from 'node:stream'
import fc from 'fast-check'
import { extract } from 'tar-stream'
import { expect, test } from 'vitest'
import { artifactLayers } from './artifact-layers.ts'
import { tarAround } from './artifact-tar.ts'
import type { ArtifactBlob } from './manifest.ts'

const blob = (title: string, mediaType = 'text/plain'): ArtifactBlob => ({
  ...{ mediaType, digest: `sha256:${'1'.repeat(64)}`, sizeBytes: 5, title, isPacked: false },
})
const forms = (...blobs: ArtifactBlob[]) => artifactLayers(blobs).map(({ form }) => form)

test.for(['a', 'a/b.c', 'ü/ß', '...', 'a b', '-x'])('"%s" names a file in a volume', (title) => {
  expect(forms(blob(title))).toEqual([{ kind: 'file', path: title, sizeBytes: 5 }])
})

test.for([
  '/a',
  '../a',
  'a/../b',
  'a//b',
  'a/',
  '.',
  './a',
  'a\0b',
  'a\nb',
  '.wh.a',
  'a/.wh..wh..opq',
  'x'.repeat(256),
])('a blob named %j is refused', (title) => {
  expect(() => forms(blob(title))).toThrow(/which is no path in a volume/)
})

test('the same blob under another name, or as something else, is another layer', () => {
  const layers = artifactLayers([blob('a'), blob('b'), blob('', 'application/x.tar+gzip'), blob('a')])
  const ids = layers.map(({ diffId }) => diffId)
  expect(new Set(ids).size).toBe(3)
  expect(ids[0]).toBe(ids[3])
  expect(ids[0]).toMatch(/^artifact:[0-9a-f]{64}$/)
})

test('an artifact without a file is refused, and one of too many', () => {
  expect(() => forms(blob(''))).toThrow(/none of its 1 blobs is a tar or has a name/)
  expect(() => forms()).toThrow(/none of its 0 blobs/)
  expect(() => forms(...Array.from({ length: 401 }, (_, index) => blob(`${index}`)))).toThrow(
    /it has 401 files/,
  )
})

test('the tar around a file is one for another reader', async () => {
  const name = fc
    .array(fc.stringMatching(/^[a-zü]{1,60}$/), { minLength: 1, maxLength: 6 })
    .map((parts) => parts.join('/'))
  await fc.assert(
    fc.asyncProperty(name, fc.uint8Array({ maxLength: 1100 }), async (path, bytes) => {
      const { head, tail } = tarAround(path, bytes.length)
      const reader = Readable.from([Buffer.concat([head, bytes, tail])]).pipe(extract())
      const found: object[] = []
      for await (const entry of reader) {
        const { name, type, mode, uid } = entry.header
        found.push({
          name,
          type,
          mode,
          uid,
          content: Buffer.concat(await Array.fromAsync(entry as AsyncIterable<Buffer>)),
        })
      }
      const parents = path
        .split('/')
        .slice(0, -1)
        .map((_, index) =>
          path
            .split('/')
            .slice(0, index + 1)
            .join('/'),
        )
      expect(found).toEqual([
        ...parents.map((parent) => ({
          name: `${parent}/`,
          type: 'directory',
          mode: 0o755,
          uid: 0,
          content: Buffer.of(),
        })),
        { name: path, type: 'file', mode: 0o644, uid: 0, content: Buffer.from(bytes) },
      ])
    }),
    { numRuns: 50 },
  )
})

test('a size that octal digits do not hold stands in a record of its own', () => {
  const { head } = tarAround('big', 9_000_000_000)
  expect(head.toString('latin1')).toContain('19 size=9000000000\n')
  expect(head).toHaveLength(3 * 512)
})
