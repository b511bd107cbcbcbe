import { lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { useErofsLab } from '#test/fixtures/erofs-lab.ts'
import { type TarFile, tarOf } from '#test/fixtures/tar.ts'

const lab = useErofsLab()

describe('a layer as EROFS blob', () => {
  test('has what the same layer has as a directory', async () => {
    const xattrs = {
      'SCHILY.xattr.security.capability': Buffer.from('0100000200200000000000000000000000000000', 'hex'),
      'SCHILY.xattr.user.note': 'x'.repeat(700),
      'SCHILY.xattr.trusted.overlay.redirect': '/etc',
      'SCHILY.xattr.security.selinux': 'label',
    }
    const files: readonly TarFile[] = [
      { name: './', type: 'directory', mode: 0o750, uid: 3, gid: 4 },
      { name: 'bin/su', content: 'su', mode: 0o6755, uid: 1000, gid: 33, pax: { mtime: '1600000000.123' } },
      { name: 'old', content: 'old', pax: { mtime: '-1.5' } },
      { name: 'big-ids', content: '', uid: 3_000_000_000, gid: 70_000 },
      { name: 'ping', content: 'x'.repeat(5000), pax: xattrs },
      { name: 'ping-too', type: 'link', linkName: 'ping' },
      { name: 'sticky', type: 'directory', mode: 0o1777, pax: { 'SCHILY.xattr.user.d': 'd' } },
      { name: 'null', type: 'character-device', major: 1, minor: 3, mode: 0o666 },
      { name: 'large', type: 'block-device', major: 259, minor: 300_000 },
      { name: 'pipe', type: 'fifo', mode: 0o622 },
      { name: 'link', type: 'symlink', linkName: '/no/where', uid: 7 },
      { name: 'lib', type: 'symlink', linkName: 'usr/lib' },
      { name: 'lib/x.so', content: 'lib' },
      { name: 'sticky/.wh..wh..opq' },
      { name: '.wh.gone' },
      { name: '.wh.bin' },
      { name: 'f\xff\xfe', content: 'bytes' },
    ]
    expect(await lab.asBlob(files)).toEqual(lab.asDirectory(files))
  })

  test('has long links, and directories of more entries than a block', () => {
    const names = Array.from({ length: 500 }, (_, index) => `d/file-${index}-${'x'.repeat(index % 200)}`)
    const target = 'to/'.repeat(1300)
    const files = names.map((name): TarFile => ({ name, content: name }))
    const root = lab.mounted(tarOf([...files, { name: 'long', type: 'symlink', linkName: target }]))
    expect(readlinkSync(join(root, 'long'))).toBe(target)
    expect(readdirSync(join(root, 'd')).length).toBe(500)
    expect(names.filter((name) => readFileSync(join(root, name), 'utf8') !== name)).toEqual([])
  })

  test('is told from others by its files: an inode each, but for hard links', () => {
    const root = lab.mounted(
      tarOf([
        { name: 'a', content: 'a' },
        { name: 'b', type: 'link', linkName: 'a' },
        { name: 'd/sub', type: 'directory' },
        { name: 'a', content: 'another' },
      ]),
    )
    expect(lstatSync(join(root, 'b'))).toMatchObject({ nlink: 1, size: 1 })
    expect(statSync(join(root, 'd')).nlink).toBe(3)
    expect(readFileSync(join(root, 'a'), 'utf8')).toBe('another')
  })

  test('is the same whichever pieces the tar comes in, and holds the tar byte for byte', () => {
    const tar = Buffer.concat([
      tarOf([{ name: 'a'.repeat(150), content: 'x'.repeat(1000) }]),
      Buffer.from('end'),
    ])
    const blobs = [1, 511, 513, 4096, 1 << 20].map((pieceBytes) => {
      lab.mounted(tar, pieceBytes)
      return readFileSync(lab.blob)
    })
    for (const blob of blobs) expect(blob.equals(blobs[0] ?? Buffer.alloc(0))).toBe(true)
    expect(blobs[0]?.subarray(4096, 4096 + tar.length).equals(tar)).toBe(true)
  })
})

const component = fc.constantFrom('a', 'b', 'c', 'link', '..', '.wh.a', '.wh.b', '.wh..wh..opq')
const path = fc.array(component, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
const others = fc.record({
  name: path,
  type: fc.constantFrom('directory', 'symlink', 'link', 'fifo', 'character-device'),
  linkName: path,
  mode: fc.integer({ min: 0, max: 0o7777 }),
})
const file: fc.Arbitrary<TarFile> = fc.oneof(
  others,
  fc.record({ name: path, content: fc.string({ maxLength: 600 }) }),
)

test('whatever the entries are, it is refused as the directory is, or has the same files', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(file, { maxLength: 14 }), async (files) => {
      expect(await lab.asBlob(files)).toEqual(lab.asDirectory(files))
    }),
    { numRuns: 60 },
  )
})
