import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CriError } from '#lib/errors.ts'
import { getExtendedAttribute } from '#linux/libc.ts'
import { type TarFile, tarOf } from '#test/fixtures/tar.ts'
import { LayerWriter } from './layer-writer.ts'
import { TarReader } from './tar-reader.ts'

let home: string
let layer: string
beforeEach(() => {
  home = mkdtempSync('/var/lib/cri-ts-layer-')
  layer = join(home, 'layer')
  mkdirSync(layer)
})
afterEach(() => rmSync(home, { recursive: true }))

const at = (name: string): string => join(layer, name)

function unpack(files: readonly TarFile[], entryLimit = 10_000) {
  using writer = new LayerWriter(layer, entryLimit)
  const reader = new TarReader(writer)
  reader.push(tarOf(files))
  reader.finish()
  return writer.finish()
}

const isWhiteout = (name: string): boolean => {
  const stat = lstatSync(at(name))
  return stat.isCharacterDevice() && stat.rdev === 0
}
const isOpaque = (name: string): boolean =>
  getExtendedAttribute(at(name), 'trusted.overlay.opaque')?.toString() === 'y'

describe('files', () => {
  test('have their content, owner, mode and time, set-user-id too', () => {
    unpack([
      { name: 'bin/su', content: 'su', mode: 0o6755, uid: 1000, gid: 33, pax: { mtime: '1600000000.5' } },
    ])
    const { uid, gid, mode, mtimeMs } = statSync(at('bin/su'))
    expect({ uid, gid, mode: mode & 0o7777, mtimeMs }).toEqual({
      ...{ uid: 1000, gid: 33, mode: 0o6755, mtimeMs: 1_600_000_000_500 },
    })
    expect(readFileSync(at('bin/su'), 'utf8')).toBe('su')
  })

  test('have their extended attributes, capabilities byte for byte', () => {
    const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex')
    const pax = { 'SCHILY.xattr.security.capability': capability, 'SCHILY.xattr.user.note': 'x' }
    unpack([{ name: 'ping', content: 'x', mode: 0o755, uid: 5, pax }])
    expect(getExtendedAttribute(at('ping'), 'security.capability')).toEqual(capability)
    expect(getExtendedAttribute(at('ping'), 'user.note')?.toString()).toBe('x')
  })

  test('lose the attributes by which overlayfs would look elsewhere, and labels of another machine', () => {
    const names = [
      'trusted.overlay.redirect',
      'trusted.overlay.metacopy',
      'user.overlay.opaque',
      'security.selinux',
    ]
    const pax = Object.fromEntries(names.map((name) => [`SCHILY.xattr.${name}`, '/etc']))
    unpack([{ name: 'd', type: 'directory', pax }])
    for (const name of names) expect(getExtendedAttribute(at('d'), name)).toBeUndefined()
  })

  test('of every type are made', () => {
    unpack([
      { name: 'null', type: 'character-device', major: 1, minor: 3, mode: 0o666 },
      { name: 'loop', type: 'block-device', major: 7, minor: 0 },
      { name: 'pipe', type: 'fifo', mode: 0o622 },
      { name: 'link', type: 'symlink', linkName: '/no/where', uid: 7 },
      { name: 'file', content: 'x' },
      { name: 'hard', type: 'link', linkName: './file' },
    ])
    expect(lstatSync(at('null'))).toMatchObject({ rdev: 0x103, mode: 0o020666 })
    expect(lstatSync(at('loop')).isBlockDevice()).toBe(true)
    expect(lstatSync(at('pipe'))).toMatchObject({ mode: 0o010622 })
    expect(readlinkSync(at('link'))).toBe('/no/where')
    expect(lstatSync(at('link')).uid).toBe(7)
    expect(statSync(at('hard'))).toMatchObject({ ino: statSync(at('file')).ino, nlink: 2 })
  })

  test('have names that need not be UTF-8, and can be removed again', () => {
    const name = Buffer.from([0x66, 0xff, 0xfe])
    unpack([{ name: 'x', content: 'x', pax: { path: name, 'SCHILY.xattr.user.a': 'b' } }])
    expect(readdirSync(layer, 'buffer')).toEqual([name])
  })

  test('are counted with what they take', () => {
    expect(
      unpack([
        { name: 'd/', type: 'directory' },
        { name: 'd/f', content: 'x'.repeat(5000) },
      ]),
    ).toEqual({
      usedInodes: 3,
      usedBytes: 4 * 4096,
    })
  })
})

describe('directories', () => {
  test('keep the time and mode they were given, whatever was put into them', () => {
    unpack([
      { name: './', type: 'directory', mode: 0o700, uid: 3 },
      { name: 'd/', type: 'directory', mode: 0o2555, gid: 50, mtimeSeconds: 1_000_000 },
      { name: 'd/f', content: 'x' },
    ])
    expect(statSync(at('d'))).toMatchObject({ mode: 0o042555, gid: 50, mtimeMs: 1e9 })
    expect(statSync(at('d/f')).gid).toBe(0)
    expect(statSync(layer)).toMatchObject({ mode: 0o040700, uid: 3 })
  })

  test('that are only implied are root’s, 0755', () => {
    unpack([{ name: 'a/b/c', content: 'x', uid: 9 }])
    expect(statSync(at('a/b'))).toMatchObject({ mode: 0o040755, uid: 0, gid: 0 })
  })
})

describe('of two entries of one name the later wins', () => {
  test.for<[string, TarFile, TarFile, string]>([
    ['file, file', { name: 'x', content: '1' }, { name: 'x', content: '2' }, 'file 2'],
    ['file, link', { name: 'x', content: '1' }, { name: 'x', type: 'symlink', linkName: 'y' }, 'link y'],
    ['link, file', { name: 'x', type: 'symlink', linkName: 'y' }, { name: 'x', content: '2' }, 'file 2'],
    ['file, directory', { name: 'x', content: '1' }, { name: 'x/', type: 'directory' }, 'directory '],
    [
      'link, directory',
      { name: 'x', type: 'symlink', linkName: 'y' },
      { name: 'x/', type: 'directory' },
      'directory ',
    ],
  ])('%s', ([, one, two, expected]) => {
    unpack([one, two])
    const stat = lstatSync(at('x'))
    const found = stat.isDirectory()
      ? 'directory '
      : stat.isSymbolicLink()
        ? `link ${readlinkSync(at('x'))}`
        : `file ${readFileSync(at('x'), 'utf8')}`
    expect(found).toBe(expected)
  })

  test('a directory named twice keeps what is in it', () => {
    unpack([
      { name: 'd/f', content: 'x' },
      { name: 'd/', type: 'directory', mode: 0o711 },
    ])
    expect(readFileSync(at('d/f'), 'utf8')).toBe('x')
    expect(statSync(at('d')).mode).toBe(0o040711)
  })

  test('a file in place of a directory takes its content away', () => {
    unpack([
      { name: 'd/e/f', content: 'x' },
      { name: 'd', content: 'y' },
    ])
    expect(readFileSync(at('d'), 'utf8')).toBe('y')
  })

  test('a link to the name that it replaces is refused, the file a link came from lives on', () => {
    unpack([
      { name: 'a', content: '1' },
      { name: 'b', type: 'link', linkName: 'a' },
      { name: 'a', content: '2' },
    ])
    expect(readFileSync(at('b'), 'utf8')).toBe('1')
  })

  test('replacing directories without end is refused', () => {
    const pair: readonly TarFile[] = [
      { name: 'd/', type: 'directory' },
      { name: 'd', content: '' },
    ]
    expect(() => unpack(Array.from({ length: 300 }, () => pair).flat())).toThrow(/more than 256 of its own/)
  })
})

describe('whiteouts', () => {
  test('become what overlayfs takes for one', () => {
    unpack([{ name: 'etc/.wh.gone' }, { name: 'var/.wh..wh..opq' }, { name: 'var/new', content: 'x' }])
    expect(isWhiteout('etc/gone')).toBe(true)
    expect(isOpaque('var')).toBe(true)
    expect(readdirSync(at('var'))).toEqual(['new'])
  })

  test.for<[string, readonly TarFile[]]>([
    ['before', [{ name: '.wh.x' }, { name: 'x', content: 'mine' }]],
    ['after', [{ name: 'x', content: 'mine' }, { name: '.wh.x' }]],
  ])('hide nothing of their own layer: %s', ([, files]) => {
    unpack(files)
    expect(readFileSync(at('x'), 'utf8')).toBe('mine')
  })

  test.for<[string, readonly TarFile[]]>([
    ['before', [{ name: '.wh.d' }, { name: 'd/', type: 'directory' }, { name: 'd/f', content: 'x' }]],
    ['before an implied one', [{ name: '.wh.d' }, { name: 'd/f', content: 'x' }]],
    ['after', [{ name: 'd/f', content: 'x' }, { name: '.wh.d' }]],
  ])('of a directory that the layer has too make it opaque: %s', ([, files]) => {
    unpack(files)
    expect(isOpaque('d')).toBe(true)
    expect(readdirSync(at('d'))).toEqual(['f'])
  })

  test('of AUFS’s own are left out', () => {
    unpack([{ name: '.wh..wh.aufs' }, { name: '.wh..wh.plnk/1.1', content: 'x' }])
    expect(readdirSync(layer)).toEqual([])
  })
})

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
      'a hard link to nothing',
      [{ name: 'x', type: 'link', linkName: 'bin/lower' }],
      /x is a hard link to bin\/lower/,
    ],
    [
      'a hard link to a directory',
      [{ name: 'x', type: 'link', linkName: '/' }],
      /not a file of the same layer/,
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

  test('more files than the limit', () => {
    expect(() => unpack([{ name: 'a' }, { name: 'b' }, { name: 'c' }], 2)).toThrow(/more than 2 files/)
  })
})

test('whatever the entries are, nothing outside the layer is touched', () => {
  const outside = join(home, 'outside')
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
      rmSync(layer, { recursive: true })
      mkdirSync(layer)
      try {
        unpack(files.map((one) => (one.type === 'file' ? one : { ...one, content: '' })) as TarFile[])
      } catch (error) {
        expect(error).toBeInstanceOf(CriError)
      }
      expect(readdirSync(home).toSorted()).toEqual(['layer', 'outside'])
      expect(readdirSync(outside)).toEqual(['f'])
      expect(readFileSync(join(outside, 'f'), 'utf8')).toBe('untouched')
      const { ino, mode, uid, nlink, mtimeMs, ctimeMs } = before
      expect(lstatSync(join(outside, 'f'))).toMatchObject({ ino, mode, uid, nlink, mtimeMs, ctimeMs })
    }),
    { numRuns: 1000 },
  )
})
