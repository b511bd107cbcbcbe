import { lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { getExtendedAttribute } from '#linux/libc.ts'
import { useLayerLab } from '#test/fixtures/layer-lab.ts'
import type { TarFile } from '#test/fixtures/tar.ts'

const lab = useLayerLab()
const { at, unpack } = lab

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
    expect(readdirSync(lab.layer, 'buffer')).toEqual([name])
  })

  test('are counted with what they take', () => {
    expect(
      unpack([
        { name: 'd/', type: 'directory' },
        { name: 'd/f', content: 'x'.repeat(5000) },
      ]),
    ).toMatchObject({
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
    expect(statSync(lab.layer)).toMatchObject({ mode: 0o040700, uid: 3 })
  })

  test('that are only implied are root’s, 0755, and told', () => {
    const { gaps } = unpack([{ name: 'a/b/c', content: 'x', uid: 9 }, { name: '.wh.d' }, { name: 'd/e' }])
    expect(gaps).toEqual({ implied: ['', 'a', 'a/b'], links: [] })
    expect(statSync(at('a/b'))).toMatchObject({ mode: 0o040755, uid: 0, gid: 0 })
  })
})

test('hard links to what the layer does not have are told, but for those that later entries replace', () => {
  const link = (name: string, linkName: string): TarFile => ({ name, type: 'link', linkName })
  const { gaps } = unpack([
    ...[link('a', 'usr/bin/x'), link('b', './a'), link('c', 'y'), link('d/e', 'y'), link('f', 'y')],
    ...[
      { name: 'c', content: '' },
      { name: 'd', content: '' },
      { name: 'f/g', content: '' },
    ],
  ])
  expect(gaps.links).toEqual([
    { path: 'a', target: 'usr/bin/x' },
    { path: 'b', target: 'usr/bin/x' },
  ])
  expect(readdirSync(lab.layer).toSorted()).toEqual(['c', 'd', 'f'])
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
