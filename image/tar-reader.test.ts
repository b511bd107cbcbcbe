import fc from 'fast-check'
import { expect, test } from 'vitest'
import { packTar } from '#test/fixtures/pack-tar.ts'
import { anyTarFile, readTar } from '#test/fixtures/read-tar.ts'
import { paxRecords, type TarFile, tarOf, tarParts, withChecksum } from '#test/fixtures/tar.ts'
import type { TarEntry } from './tar-entry.ts'
import { TarReader } from './tar-reader.ts'

const first = (files: readonly TarFile[]): TarEntry | undefined => readTar(tarOf(files))[0]?.entry

test('an entry has what its header says', () => {
  const file = { name: 'bin/su', content: 'x', mode: 0o4755, uid: 1, gid: 2, mtimeSeconds: 1_234_567_890 }
  expect(readTar(tarOf([file]))).toEqual([
    {
      content: 'x',
      entry: {
        ...{ name: 'bin/su', type: 'file', mode: 0o4755, uid: 1, gid: 2, sizeBytes: 1, linkName: '' },
        ...{ mtime: { seconds: 1_234_567_890, nanoseconds: 0 }, major: 0, minor: 0, xattrs: new Map() },
      },
    },
  ])
})

test.for<[TarFile, Partial<TarEntry>]>([
  [{ name: 'd', type: 'directory' }, { type: 'directory' }],
  [{ name: 'old/' }, { type: 'directory' }],
  [
    { name: 'l', type: 'link', linkName: 'x' },
    { type: 'hard-link', linkName: 'x' },
  ],
  [
    { name: 's', type: 'symlink', linkName: '/x' },
    { type: 'symbolic-link', linkName: '/x' },
  ],
  [{ name: 'p', type: 'fifo' }, { type: 'fifo' }],
  [
    { name: 'c', type: 'character-device', major: 5, minor: 1 },
    { type: 'character-device', major: 5, minor: 1 },
  ],
  [
    { name: 'b', type: 'block-device', major: 8, minor: 17 },
    { type: 'block-device', major: 8, minor: 17 },
  ],
])('an entry of each type is told: %o', ([file, expected]) => {
  expect(first([file])).toMatchObject(expected)
})

test.for<[string, { [key: string]: string | Buffer }, Partial<TarEntry>]>([
  ['path', { path: 'long/name' }, { name: 'long/name' }],
  ['owner', { uid: '4000000000', gid: '7' }, { uid: 4_000_000_000, gid: 7 }],
  ['nothing', { uid: '', path: '' }, { uid: 0, name: 'x' }],
  [
    'time',
    { mtime: '1700000000.123456789' },
    { mtime: { seconds: 1_700_000_000, nanoseconds: 123_456_789 } },
  ],
  ['time before 1970', { mtime: '-1.5' }, { mtime: { seconds: -2, nanoseconds: 500_000_000 } }],
  ['xattr', { 'SCHILY.xattr.user.a=b': Buffer.from([0, 255, 10]) }, { name: 'x' }],
])('an entry takes from PAX: %s', ([, pax, expected]) => {
  expect(first([{ name: 'x', pax }])).toMatchObject(expected)
})

test('an entry has extended attributes as they are, with zeros and newlines', () => {
  const value = Buffer.from([1, 0, 0, 10, 61, 255])
  const entry = first([{ name: 'ping', pax: { 'SCHILY.xattr.security.capability': value } }])
  expect([...(entry?.xattrs ?? [])]).toEqual([['security.capability', value]])
})

test('an entry has its name as bytes', () => {
  expect(first([{ name: 'grün' }])?.name).toBe(Buffer.from('grün').toString('latin1'))
})

test('an entry takes the size from PAX, in whatever the header says', () => {
  const content = 'y'.repeat(700)
  const tar = tarParts([{ name: 'x', pax: { size: '700' } }])
  const padding = Buffer.alloc(1024 - content.length)
  const all = Buffer.concat([tar, Buffer.from(content), padding, tarOf([{ name: 'next' }])])
  expect(readTar(all).map((item) => [item.entry.name, item.content.length])).toEqual([
    ['x', 700],
    ['next', 0],
  ])
})

test('an entry has a long name and link of GNU', () => {
  const long = 'd/'.repeat(150)
  const tar = tarOf([
    { name: '././@LongLink', type: 'gnu-long-link', content: `${long}target\0` },
    { name: '././@LongLink', type: 'gnu-long-name', content: `${long}name\0` },
    { name: 'short', type: 'symlink', linkName: 'short' },
    { name: 'next' },
  ])
  expect(readTar(tar).map(({ entry }) => [entry.name, entry.linkName])).toEqual([
    [`${long}name`, `${long}target`],
    ['next', ''],
  ])
})

test('an entry has a large owner in binary', () => {
  const tar = tarOf([{ name: 'x' }])
  tar.set([0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xfe], 108)
  withChecksum(tar.subarray(0, 512))
  expect(readTar(tar)[0]?.entry.uid).toBe(0xff_ff_ff_fe)
})

test('what tar-stream packs is read as it was meant', async () => {
  const long = `${'long/'.repeat(60)}grün`
  const packed = await packTar([
    { name: 'a/', type: 'directory', mode: 0o1777, uid: 1000, mtimeSeconds: 1e9 },
    { name: long, mode: 0o640, content: 'content' },
    { name: 'l', type: 'symlink', linkName: long },
  ])
  const name = Buffer.from(long).toString('latin1')
  expect(readTar(packed)).toMatchObject([
    { entry: { name: 'a/', type: 'directory', mode: 0o1777, uid: 1000, mtime: { seconds: 1e9 } } },
    { entry: { name, type: 'file', mode: 0o640 }, content: 'content' },
    { entry: { name: 'l', type: 'symbolic-link', linkName: name } },
  ])
})

test('an ordinary file is the same by tar-stream and by our own writer', async () => {
  const ordinary = fc.record({
    name: fc.stringMatching(/^[a-zäß/]{1,130}[a-z]$/),
    content: fc.oneof(fc.constant(''), fc.string({ maxLength: 1500 })),
    mode: fc.integer({ min: 1, max: 0o7777 }),
    uid: fc.nat(0o777777),
    gid: fc.nat(0o777777),
    mtimeSeconds: fc.nat(0x7fff_ffff),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(ordinary, { maxLength: 4 }), async (files) => {
      expect(readTar(await packTar(files))).toEqual(readTar(tarOf(files)))
    }),
  )
})

test('an archive may end without its mark, and whatever follows the mark is ignored', () => {
  expect(readTar(tarParts([{ name: 'x' }]))).toHaveLength(1)
  expect(readTar(Buffer.concat([tarOf([{ name: 'x' }]), Buffer.from('rubbish')]))).toHaveLength(1)
  expect(readTar(Buffer.alloc(0))).toEqual([])
})

test('data can be skipped by who can seek', () => {
  const tar = tarOf([
    { name: 'a', content: 'x'.repeat(1000) },
    { name: 'b', pax: { 'SCHILY.xattr.user.x': 'y' } },
  ])
  const names: string[] = []
  const reader = new TarReader({
    entry: ({ name }) => void names.push(name),
    data: () => expect.unreachable(),
    end: () => {},
  })
  for (let at = 0; at < tar.length; ) {
    reader.push(tar.subarray(at, at + 512))
    at += 512 + reader.skippableBytes
    reader.skip()
  }
  reader.finish()
  expect(names).toEqual(['a', 'b'])
})

test('the size of the pieces makes no difference', () => {
  fc.assert(
    fc.property(
      fc.array(anyTarFile, { maxLength: 4 }),
      fc.integer({ min: 1, max: 1500 }),
      (files, pieceBytes) => {
        const tar = tarOf(files)
        const whole = readTar(tar)
        expect(readTar(tar, pieceBytes)).toEqual(whole)
        expect(whole.map(({ content }) => Buffer.from(content, 'latin1').toString())).toEqual(
          files.map(({ content }) => Buffer.from(content ?? '').toString()),
        )
      },
    ),
    { numRuns: 60 },
  )
})

test('PAX records are read as they were written', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (value) => {
      const content = paxRecords({ 'SCHILY.xattr.user.x': Buffer.from(value), path: 'p' })
      const entry = readTar(tarOf([{ name: 'p', type: 'pax-header', content }, { name: 'x' }]))[0]?.entry
      expect(entry?.xattrs.get('user.x')).toEqual(Buffer.from(value))
    }),
  )
})
