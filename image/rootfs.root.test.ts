import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { isMounted } from '#linux/overlay.ts'
import { buildImage, type ImageOptions } from '#test/fixtures/image.ts'
import { here, type ImageLab, openImageLab } from '#test/fixtures/image-lab.ts'
import { imageSource } from '#test/fixtures/image-sources.ts'
import type { TarFile } from '#test/fixtures/tar.ts'

const never = new AbortController().signal
const add = (lab: ImageLab, layers: ImageOptions['layers'], tags: readonly string[] = []): Promise<string> =>
  lab.images.store.add(imageSource(buildImage({ layers }), { tags }), never)
const use = { namespace: '', userSpecifiedImage: '', as: 'root' } as const
const read = (root: string, name: string): string => readFileSync(join(root, name), 'utf8')

describe('a root file system', () => {
  test('shows the layers on top of each other, and takes what is written', async () => {
    await using lab = openImageLab()
    const { rootfs } = lab.images
    const id = await add(lab, [
      [
        { name: './', type: 'directory', mode: 0o711, uid: 3 },
        { name: 'a', content: 'a' },
        { name: 'b', content: 'b' },
        { name: 'd/hidden', content: 'x' },
        { name: 'e/gone', content: 'x' },
        { name: 'e/kept', content: 'x' },
      ],
      [
        { name: './', type: 'directory', mode: 0o755, uid: 4 },
        { name: 'b', content: 'b of the second' },
        { name: 'd/.wh..wh..opq' },
        { name: 'd/new', content: 'x' },
        { name: 'e/.wh.gone' },
      ],
    ])
    const root = await rootfs.mount('c1', id)
    expect(root).toBe(lab.mountPoint('c1'))
    expect([read(root, 'a'), read(root, 'b')]).toEqual(['a', 'b of the second'])
    expect([readdirSync(join(root, 'd')), readdirSync(join(root, 'e'))]).toEqual([['new'], ['kept']])
    expect(statSync(root)).toMatchObject({ mode: 0o040755, uid: 4 })
    writeFileSync(join(root, 'a'), 'changed')
    unlinkSync(join(root, 'b'))
    renameSync(join(root, 'd/new'), join(root, 'renamed'))
    const other = await rootfs.mount('c2', id)
    expect(read(other, 'a')).toBe('a')
    expect(readdirSync(other).toSorted()).toEqual(['a', 'b', 'd', 'e'])
  })

  test.for([0, 1, 127])('of an image with %i layers is mounted', async (count) => {
    await using lab = openImageLab()
    const layers = Array.from({ length: count }, (_, index): readonly TarFile[] => [
      { name: `file-${index}`, content: `${index}` },
      { name: 'last', content: `${index}` },
    ])
    const root = await lab.images.rootfs.mount('c'.repeat(64), await add(lab, layers))
    expect(readdirSync(root)).toHaveLength(count === 0 ? 0 : count + 1)
    if (count > 0) expect(read(root, 'last')).toBe(`${count - 1}`)
    writeFileSync(join(root, 'written'), 'x')
  })

  test('has a layer that is in the image twice at its upper place', async () => {
    await using lab = openImageLab()
    const twice: readonly TarFile[] = [{ name: 'x', content: 'twice' }]
    const root = await lab.images.rootfs.mount(
      'c1',
      await add(lab, [twice, [{ name: 'x', content: '2' }], twice]),
    )
    expect(read(root, 'x')).toBe('twice')
  })

  test('shows nothing from below a layer with an opaque root', async () => {
    await using lab = openImageLab()
    const top = [{ name: '.wh..wh..opq' }, { name: 'b', content: 'b' }]
    const root = await lab.images.rootfs.mount('c1', await add(lab, [[{ name: 'a', content: 'a' }], top]))
    expect(readdirSync(root)).toEqual(['b'])
  })

  test('works where the path of the store has colons and commas and is long', async () => {
    const parent = `/var/lib/cri-ts-odd,a:b\\c-${'x'.repeat(60)}`
    mkdirSync(parent)
    try {
      await using lab = openImageLab({}, parent)
      const layers = Array.from({ length: 60 }, (_, index): readonly TarFile[] => [{ name: `f${index}` }])
      const root = await lab.images.rootfs.mount('c1', await add(lab, layers))
      expect(readdirSync(root)).toHaveLength(60)
    } finally {
      rmSync(parent, { recursive: true })
    }
  })
})

describe('mounting', () => {
  test('again keeps what was written; twice is once', async () => {
    await using lab = openImageLab()
    const { rootfs } = lab.images
    const root = await rootfs.mount(
      'c1',
      await add(lab, [[{ name: 'a', content: 'a' }]], ['docker.io/library/a:1']),
    )
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
    expect(mounts.find((line) => line.includes(root))).toMatch(/volatile/)
    writeFileSync(join(root, 'mine'), 'kept')
    await rootfs.unmount('c1')
    await rootfs.unmount('c1')
    expect(readdirSync(root)).toEqual([])
    await lab.images.store.remove('docker.io/library/a:1')
    await lab.reopen()
    await lab.images.rootfs.mount('c1', 'an image that is no more')
    await lab.images.rootfs.mount('c1', 'an image that is no more')
    expect([read(root, 'a'), read(root, 'mine')]).toEqual(['a', 'kept'])
  })

  test('an image that is not here is refused, and nothing is left', async () => {
    await using lab = openImageLab()
    await expect(lab.images.rootfs.mount('c1', `sha256:${'0'.repeat(64)}`)).rejects.toMatchObject({
      kind: 'not-found',
    })
    expect(lab.images.rootfs.leftovers()).toEqual([])
    expect(existsSync(lab.mountPoint('c1'))).toBe(false)
  })

  test('that fails is known, so that it can be removed', async () => {
    await using lab = openImageLab()
    const id = await add(lab, [[{ name: 'a' }]])
    rmSync(join(lab.root, 'layers/1'), { recursive: true })
    await expect(lab.images.rootfs.mount('c1', id)).rejects.toThrow(/ENOENT/)
    expect(lab.images.rootfs.leftovers()).toEqual(['c1'])
    await lab.images.rootfs.remove('c1')
    expect(lab.images.rootfs.leftovers()).toEqual([])
  })
})

describe('removing', () => {
  test('takes the mount, what was written and the mount point; again is fine', async () => {
    await using lab = openImageLab()
    const { rootfs } = lab.images
    const root = await rootfs.mount('c1', await add(lab, [[{ name: 'a' }]]))
    writeFileSync(join(root, 'mine'), 'x')
    expect(rootfs.leftovers()).toEqual(['c1'])
    await rootfs.remove('c1')
    await rootfs.remove('c1')
    await rootfs.remove('unknown')
    await lab.images.settled()
    expect(existsSync(root)).toBe(false)
    expect([readdirSync(join(lab.root, 'rootfs')), readdirSync(join(lab.root, 'trash'))]).toEqual([[], []])
    expect(rootfs.leftovers()).toEqual([])
  })

  test('the last root file system of a removed image takes its layers along', async () => {
    await using lab = openImageLab()
    const { rootfs, store } = lab.images
    const id = await add(lab, [[{ name: 'a', content: 'a' }]])
    const root = await rootfs.mount('c1', id)
    await store.remove(id)
    await lab.images.settled()
    expect(read(root, 'a')).toBe('a')
    expect(here(lab.root).layers).toEqual(['1'])
    await rootfs.remove('c1')
    await lab.images.settled()
    expect(here(lab.root).layers).toEqual([])
  })

  test('works after the mount point was taken away', async () => {
    await using lab = openImageLab()
    const root = await lab.images.rootfs.mount('c1', await add(lab, []))
    await lab.images.rootfs.unmount('c1')
    rmSync(root, { recursive: true })
    await lab.images.rootfs.remove('c1')
    expect(isMounted(root)).toBe(false)
    expect(lab.images.rootfs.leftovers()).toEqual([])
  })
})

describe('reading a file', () => {
  test('follows links inside the root file system only', async () => {
    await using lab = openImageLab()
    const { rootfs } = lab.images
    const passwd = 'root:x:0:0:grün:/root:/bin/sh\n'
    const root = await rootfs.mount('c1', await add(lab, [[{ name: 'etc/passwd', content: passwd }]]))
    symlinkSync('/etc/passwd', join(root, 'absolute'))
    symlinkSync('../../../../etc/passwd', join(root, 'climbing'))
    symlinkSync('circle', join(root, 'circle'))
    symlinkSync('/etc/hostname', join(root, 'host'))
    for (const name of ['/etc/passwd', 'etc/passwd', '/absolute', '/climbing', '/../etc/passwd']) {
      expect(await rootfs.readFile('c1', name)).toBe(passwd)
    }
    for (const name of ['/none', '/etc/passwd/x', '/circle', '/host', '/etc', '/']) {
      expect(await rootfs.readFile('c1', name)).toBeUndefined()
    }
  })

  test('opens no device and no pipe, and refuses more than 1 MiB', async () => {
    await using lab = openImageLab()
    const { rootfs } = lab.images
    const large = Buffer.alloc((1 << 20) + 1)
    const files: readonly TarFile[] = [
      { name: 'tty', type: 'character-device', major: 5, minor: 0 },
      { name: 'pipe', type: 'fifo' },
      { name: 'large', content: large },
    ]
    await rootfs.mount('c1', await add(lab, [files]))
    expect(await rootfs.readFile('c1', 'tty')).toBeUndefined()
    expect(await rootfs.readFile('c1', 'pipe')).toBeUndefined()
    await expect(rootfs.readFile('c1', 'large')).rejects.toThrow(/1048577 bytes long/)
  })
})

describe('a reference', () => {
  test.for(['docker.io/library/box:latest', 'box', 'box:latest', 'docker.io/box'])(
    '%s is resolved',
    async (name) => {
      await using lab = openImageLab()
      const id = await add(lab, [], ['docker.io/library/box:latest'])
      for (const reference of [name, id, id.slice(7)]) {
        expect(await lab.images.rootfs.resolve(reference, use)).toMatchObject({ id, config: { cmd: [] } })
      }
    },
  )

  test.for(['box', `sha256:${'0'.repeat(64)}`, '0'.repeat(64), 'example.com/a@sha256:'.padEnd(85, '0')])(
    '%s to what is not here is not found, with what to do',
    async (name) => {
      await using lab = openImageLab()
      await expect(lab.images.rootfs.resolve(name, use)).rejects.toMatchObject({
        kind: 'not-found',
        message: `image ${name} is not here: pull it first`,
      })
    },
  )

  test('that is none is refused', async () => {
    await using lab = openImageLab()
    await expect(lab.images.rootfs.resolve('Not A Name', use)).rejects.toMatchObject({
      kind: 'invalid-argument',
    })
  })
})
