import { lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { getExtendedAttribute } from '#linux/libc.ts'
import { buildImage } from '#test/fixtures/image.ts'
import { here, type ImageLab, never, openImageLab } from '#test/fixtures/image-lab.ts'
import { imageSource } from '#test/fixtures/image-sources.ts'
import type { TarFile } from '#test/fixtures/tar.ts'

/** The layers of an image, mounted. */
async function mounted(lab: ImageLab, layers: readonly (readonly TarFile[])[]): Promise<string> {
  const id = await lab.images.store.add(imageSource(buildImage({ layers })), never)
  return await lab.images.rootfs.mount('c', id)
}

const modeOf = (path: string): string => (lstatSync(path).mode & 0o7777).toString(8)
const directory = (name: string, attributes: Partial<TarFile> = {}): TarFile => ({
  ...{ name, type: 'directory', mode: 0o1770, uid: 7, gid: 8, mtimeSeconds: 1_000_000 },
  ...attributes,
})

describe('a directory that a layer only implies', () => {
  test('has the attributes that it has below, at any depth', async () => {
    await using lab = openImageLab()
    const pax = { 'SCHILY.xattr.user.note': 'below' }
    const root = await mounted(lab, [
      [directory('./', { mode: 0o555 }), directory('a/'), directory('a/b/', { mode: 0o700, pax })],
      [{ name: 'a/b/c/new', content: 'x' }],
      [{ name: 'a/other', content: 'y' }],
    ])
    expect([root, join(root, 'a'), join(root, 'a/b')].map(modeOf)).toEqual(['555', '1770', '700'])
    expect(statSync(join(root, 'a'))).toMatchObject({ uid: 7, gid: 8, mtimeMs: 1e9 })
    expect(getExtendedAttribute(join(root, 'a/b'), 'user.note')?.toString()).toBe('below')
    expect(modeOf(join(root, 'a/b/c'))).toBe('755')
    expect(readFileSync(join(root, 'a/b/c/new'), 'utf8')).toBe('x')
  })

  test.for<[string, readonly TarFile[]]>([
    ['takes it away', [{ name: '.wh.a' }, { name: 'a/new', content: 'x' }]],
    ['takes its parent’s content away', [{ name: '.wh..wh..opq' }, { name: 'a/new', content: 'x' }]],
  ])('is a new one where the layer %s', async ([, layer]) => {
    await using lab = openImageLab()
    const root = await mounted(lab, [[directory('a/'), { name: 'a/old' }], layer])
    expect(modeOf(join(root, 'a'))).toBe('755')
    expect(readdirSync(join(root, 'a'))).toEqual(['new'])
  })

  test('that is emptied keeps its attributes', async () => {
    await using lab = openImageLab()
    const root = await mounted(lab, [[directory('a/'), { name: 'a/old' }], [{ name: 'a/.wh..wh..opq' }]])
    expect(modeOf(join(root, 'a'))).toBe('1770')
    expect(readdirSync(join(root, 'a'))).toEqual([])
  })

  test('is where the link leads that is below in its place', async () => {
    await using lab = openImageLab()
    const root = await mounted(lab, [
      [
        directory('usr/lib/'),
        { name: 'usr/lib/old', content: 'old' },
        { name: 'lib', type: 'symlink', linkName: 'usr/lib' },
      ],
      [
        { name: 'lib/new', content: 'new' },
        { name: 'lib/deep/er', content: 'deep' },
        directory('lib/named/', { mode: 0o711 }),
        { name: 'lib/.wh.old' },
      ],
    ])
    expect(readlinkSync(join(root, 'lib'))).toBe('usr/lib')
    expect(readdirSync(join(root, 'usr/lib')).toSorted()).toEqual(['deep', 'named', 'new'])
    expect(readFileSync(join(root, 'usr/lib/deep/er'), 'utf8')).toBe('deep')
    expect(['usr/lib', 'usr/lib/named', 'usr/lib/deep'].map((path) => modeOf(join(root, path)))).toEqual([
      '1770',
      '711',
      '755',
    ])
  })

  test('that is a link to itself below is refused by name', async () => {
    await using lab = openImageLab()
    const layers = [[{ name: 'a', type: 'symlink', linkName: '/a' }], [{ name: 'a/f' }]] as const
    await expect(mounted(lab, layers)).rejects.toThrow(
      /^a is a directory in a layer, and below it a link to \/a/,
    )
  })
})

describe('a hard link to what only a layer below has', () => {
  const base: readonly TarFile[] = [
    directory('bin/'),
    { name: 'bin/tool', content: 'tool', mode: 0o755, uid: 3 },
    { name: 'sbin', type: 'symlink', linkName: 'bin' },
  ]

  test.for(['bin/tool', '/sbin/tool', './bin/../sbin/tool'])('is that very file: %s', async (linkName) => {
    await using lab = openImageLab()
    const root = await mounted(lab, [base, [{ name: 'x/link', type: 'link', linkName }]])
    expect(readFileSync(join(root, 'x/link'), 'utf8')).toBe('tool')
    expect(lstatSync(join(root, 'x/link'))).toMatchObject({
      uid: 3,
      ino: lstatSync(join(root, 'bin/tool')).ino,
    })
  })

  test('may go over several layers, and be linked to itself', async () => {
    await using lab = openImageLab()
    const root = await mounted(lab, [
      base,
      [{ name: 'one', type: 'link', linkName: 'bin/tool' }],
      [
        { name: 'bin/.wh.tool' },
        { name: 'two', type: 'link', linkName: 'one' },
        { name: 'three', type: 'link', linkName: 'two' },
      ],
    ])
    expect(['one', 'two', 'three'].map((name) => readFileSync(join(root, name), 'utf8'))).toEqual([
      'tool',
      'tool',
      'tool',
    ])
    expect(readdirSync(join(root, 'bin'))).toEqual([])
  })

  test.for<[string, readonly TarFile[], readonly TarFile[]]>([
    ['is nowhere', base, [{ name: 'x', type: 'link', linkName: 'bin/other' }]],
    ['is a directory', base, [{ name: 'x', type: 'link', linkName: 'bin' }]],
    ['was taken away', [{ name: 'bin/other' }], [{ name: 'x', type: 'link', linkName: 'bin/tool' }]],
  ])('is refused where it %s, and nothing is left', async ([, middle, top]) => {
    await using lab = openImageLab()
    const added = mounted(lab, [base, [{ name: 'bin/.wh.tool' }, ...middle.slice(0, 1)], top])
    await expect(added).rejects.toThrow(/^x is a hard link to bin.*no file of its layer nor of those below/)
    await lab.images.settled()
    expect(here(lab.root)).toEqual({ layers: [], trash: [] })
  })

  test('is refused in the first layer', async () => {
    await using lab = openImageLab()
    await expect(mounted(lab, [[{ name: 'x', type: 'link', linkName: 'y' }]])).rejects.toMatchObject({
      kind: 'failed-precondition',
    })
  })
})

describe('the layers that are made for it', () => {
  const bottom = [directory('a/')]
  const middle = [{ name: 'a/f', content: 'x' }]

  test('are shared by images that begin alike, and go with the last of them', async () => {
    await using lab = openImageLab()
    const { store } = lab.images
    const one = await store.add(imageSource(buildImage({ layers: [bottom, middle] })), never)
    expect(here(lab.root).layers).toHaveLength(3)
    expect(store.find(one)?.diffIds).toHaveLength(2)
    const two = await store.add(
      imageSource(buildImage({ layers: [bottom, middle, [{ name: 'top' }]] })),
      never,
    )
    expect(here(lab.root).layers).toHaveLength(4)
    await store.remove(one)
    await lab.reopen()
    expect(here(lab.root).layers).toHaveLength(4)
    const root = await lab.images.rootfs.mount('c', two)
    expect(modeOf(join(root, 'a'))).toBe('1770')
    await lab.images.rootfs.remove('c')
    await lab.images.store.remove(two)
    await lab.images.settled()
    expect(here(lab.root)).toEqual({ layers: [], trash: [] })
  })

  test.for(['sync', 'rename', 'commit'])(
    'are gone when the commit fails before the step %s',
    async (step) => {
      await using lab = openImageLab({
        atStep: (at) => {
          if (at === step) throw new Error('stopped')
        },
      })
      const added = lab.images.store.add(imageSource(buildImage({ layers: [bottom, middle] })), never)
      await expect(added).rejects.toThrow('stopped')
      await lab.images.settled()
      expect(here(lab.root)).toEqual({ layers: [], trash: [] })
    },
  )
})
