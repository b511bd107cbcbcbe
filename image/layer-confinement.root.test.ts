import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CriError } from '#lib/errors.ts'
import { useLayerLab } from '#test/fixtures/layer-lab.ts'
import type { TarFile } from '#test/fixtures/tar.ts'

const lab = useLayerLab()
const { at, unpack } = lab

describe('links in the way', () => {
  test.for<[string, TarFile, string]>([
    ['absolute', { name: 'in', type: 'symlink', linkName: '/usr/in' }, 'usr/in/f'],
    ['relative', { name: 'in', type: 'symlink', linkName: 'usr/in' }, 'usr/in/f'],
    ['climbing', { name: 'in', type: 'symlink', linkName: '../../../..' }, 'f'],
    ['to itself by the root', { name: 'in', type: 'symlink', linkName: '/' }, 'f'],
    ['through dots', { name: 'a/in', type: 'symlink', linkName: './../usr' }, 'usr/f'],
  ])('are followed inside the layer: %s', ([, link, expected]) => {
    unpack([link, { name: `${link.name}/f`, content: 'x' }])
    expect(readFileSync(at(expected), 'utf8')).toBe('x')
  })

  test('that are replaced lead nowhere any more', () => {
    unpack([
      { name: 'in', type: 'symlink', linkName: 'one' },
      { name: 'in/f', content: '1' },
      { name: 'in', type: 'symlink', linkName: 'two' },
      { name: 'in/f', content: '2' },
    ])
    expect(readFileSync(at('one/f'), 'utf8')).toBe('1')
    expect(readFileSync(at('two/f'), 'utf8')).toBe('2')
  })
})

describe('is refused by name', () => {
  test.for<[string, readonly TarFile[], RegExp]>([
    ['a name that climbs', [{ name: 'a/../../x', content: 'x' }], /leads out of the layer/],
    [
      'a hard link out',
      [{ name: 'x', type: 'link', linkName: '../../etc/passwd' }],
      /leads out of the layer/,
    ],
    [
      'a hard link to a directory',
      [{ name: 'x', type: 'link', linkName: '/' }],
      /x is a hard link to \/, which is no file/,
    ],
    ['links in a circle', [{ name: 'x', type: 'symlink', linkName: 'x' }, { name: 'x/f' }], /too many links/],
    [
      'a file as a directory',
      [{ name: 'x', content: '' }, { name: 'x/f' }],
      /x is a file of the layer, and a dir/,
    ],
    ['a root that is a file', [{ name: './', type: 'symlink', linkName: '/etc' }], /root of the layer/],
    ['an owner that no file has', [{ name: 'x', pax: { uid: '4294967295' } }], /owner 4294967295:0/],
  ])('%s', ([, files, message]) => {
    expect(() => unpack(files)).toThrow(message)
  })

  test('more directories than the limit, though few entries imply them', () => {
    expect(() => unpack([{ name: 'a/b/c/d/e/f' }], 3)).toThrow(/more than 3 directories/)
  })

  test.for<[string, Buffer | string]>([
    ['SCHILY.xattr.user.big', Buffer.alloc(1_000_000)],
    [`SCHILY.xattr.user.${'x'.repeat(1_000_000)}`, ''],
  ])('directories whose names and attributes would fill the memory', ([key, value]) => {
    const pax = { [key]: value }
    const files = Array.from(
      { length: 70 },
      (_, index) => ({ name: `${index}/`, type: 'directory', pax }) as const,
    )
    expect(() => unpack(files)).toThrow(/take more than 64 MiB/)
  })

  test('more files than the limit', () => {
    expect(() => unpack([{ name: 'a' }, { name: 'b' }, { name: 'c' }], 2)).toThrow(/more than 2 files/)
  })
})

test('whatever the entries are, nothing outside the layer is touched', () => {
  const outside = join(lab.home, 'outside')
  mkdirSync(outside)
  writeFileSync(join(outside, 'f'), 'untouched')
  const before = lstatSync(join(outside, 'f'))
  const part = fc.constantFrom('a', 'b', '..', '.wh.a', '.wh..wh..opq', outside, '../outside')
  const path = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'))
  const type = fc.constantFrom('file', 'directory', 'symlink', 'link', 'fifo', 'character-device')
  const file = fc.record({
    name: path,
    linkName: path,
    type,
    content: fc.constantFrom('', 'evil'),
    mode: fc.nat(0o777),
  })
  fc.assert(
    fc.property(fc.array(file, { maxLength: 8 }), (files) => {
      rmSync(lab.layer, { recursive: true })
      mkdirSync(lab.layer)
      try {
        unpack(files.map((one) => (one.type === 'file' ? one : { ...one, content: '' })) as TarFile[])
      } catch (error) {
        expect(error).toBeInstanceOf(CriError)
      }
      expect(readdirSync(lab.home).toSorted()).toEqual(['layer', 'outside'])
      expect(readdirSync(outside)).toEqual(['f'])
      expect(readFileSync(join(outside, 'f'), 'utf8')).toBe('untouched')
      const { ino, mode, uid, nlink, mtimeMs, ctimeMs } = before
      expect(lstatSync(join(outside, 'f'))).toMatchObject({ ino, mode, uid, nlink, mtimeMs, ctimeMs })
    }),
    { numRuns: 1000 },
  )
})
