import { existsSync, lstatSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MNT_DETACH, unmount } from '#linux/libc.ts'
import { isMounted } from '#linux/overlay.ts'
import { ProcessWatcher } from '#linux/process-watcher.ts'
import { holdUserNamespace, type NamespaceHolder } from '#linux/user-namespace.ts'
import { buildImage } from '#test/fixtures/image.ts'
import { type ImageLab, never, openImageLab } from '#test/fixtures/image-lab.ts'
import { imageSource } from '#test/fixtures/image-sources.ts'
import type { TarFile } from '#test/fixtures/tar.ts'

const base: readonly TarFile[] = [
  { name: 'etc/', type: 'directory' },
  { name: 'etc/base', content: 'base' },
  { name: 'etc/gone', content: 'gone' },
  { name: 'old/file', content: 'old' },
]
const top: readonly TarFile[] = [
  { name: './', type: 'directory', mode: 0o751, uid: 4 },
  { name: 'etc/.wh.gone' },
  { name: 'old/.wh..wh..opq' },
  { name: 'old/new', content: 'new' },
  { name: 'bin/su', content: 'su', mode: 0o4755, uid: 5, gid: 6 },
]
const baseOnly = buildImage({ layers: [base] })
const image = buildImage({ layers: [base, top] })
/** But for what was mounted for a moment only, to look into it. */
async function mounted(lab: ImageLab): Promise<readonly string[]> {
  await lab.images.settled()
  return readdirSync(lab.layerMounts).filter((name) => isMounted(join(lab.layerMounts, name)))
}
const expectFiles = (root: string): void => {
  expect(readdirSync(root).toSorted()).toEqual(['bin', 'etc', 'old'])
  expect(readdirSync(join(root, 'etc'))).toEqual(['base'])
  expect(readdirSync(join(root, 'old'))).toEqual(['new'])
  expect(readFileSync(join(root, 'etc/base'), 'utf8')).toBe('base')
}

const expectBase = (root: string): void => expect(existsSync(join(root, 'etc/gone'))).toBe(true)

test('a store of files gives containers the files of an image, and one mount of each layer', async () => {
  await using lab = openImageLab({ format: 'erofs' })
  const { store, rootfs } = lab.images
  const id = await store.add(imageSource(image), never)
  const isFile = (name: string): boolean => statSync(join(lab.root, 'layers', name)).isFile()
  expect(['1', '2'].map(isFile)).toEqual([true, true])
  expect(await mounted(lab)).toEqual([])
  const first = await rootfs.mount('c1', id)
  const second = await rootfs.mount('c2', id)
  expectFiles(first)
  expect(statSync(first)).toMatchObject({ mode: 0o040751 })
  expect(lstatSync(join(first, 'bin/su'))).toMatchObject({ mode: 0o104755, uid: 5, gid: 6 })
  const { dev, ino } = statSync(join(first, 'etc/base'))
  expect(dev).toBe(statSync(first).dev)
  writeFileSync(join(first, 'etc/base'), 'changed')
  expect(statSync(join(first, 'etc/base'))).toMatchObject({ dev, ino })
  expectFiles(second)
  expect(await mounted(lab)).toHaveLength(2)
  expect((await store.usage()).images.usedInodes).toBeGreaterThanOrEqual(2)
})

test('a store of files unmounts the layers when no container has them, and deletes them when no image has', async () => {
  await using lab = openImageLab({ format: 'erofs' })
  const { store, rootfs } = lab.images
  const id = await store.add(imageSource(image), never)
  const baseId = await store.add(imageSource(baseOnly), never)
  await rootfs.mount('c1', id)
  await rootfs.mount('c2', baseId)
  await rootfs.remove('c1')
  await lab.images.settled()
  expect(readdirSync(lab.layerMounts)).toEqual(await mounted(lab))
  expect(await mounted(lab)).toHaveLength(1)
  await store.remove(id)
  await store.remove(baseId)
  expectBase(lab.mountPoint('c2'))
  await rootfs.remove('c2')
  await lab.images.settled()
  expect([readdirSync(lab.layerMounts), readdirSync(join(lab.root, 'layers'))]).toEqual([[], []])
})

test('a store of files finds its mounts after a restart, makes them again after a reboot, and unmounts what nothing uses', async () => {
  await using lab = openImageLab({ format: 'erofs' })
  const id = await lab.images.store.add(imageSource(image), never)
  await lab.images.rootfs.mount('c1', id)
  const before = await mounted(lab)
  await lab.reopen()
  expectFiles(await lab.images.rootfs.mount('c1', id))
  expect(await mounted(lab)).toEqual(before)
  await lab.images.rootfs.unmount('c1')
  for (const name of before) await unmount(join(lab.layerMounts, name), MNT_DETACH)
  await lab.reopen()
  expectFiles(await lab.images.rootfs.mount('c1', id))
  await lab.images.settled()
  expect(await mounted(lab)).toEqual(readdirSync(lab.layerMounts))
  expect(await mounted(lab)).toHaveLength(2)
})

test('a store may have layers of both formats in one image: each stays what it was when it came', async () => {
  await using lab = openImageLab()
  await lab.images.store.add(imageSource(baseOnly), never)
  await lab.reopen({ format: 'erofs' })
  const id = await lab.images.store.add(imageSource(image), never)
  expectFiles(await lab.images.rootfs.mount('c1', id))
  expect(await mounted(lab)).toHaveLength(1)
  await lab.reopen({ format: 'overlay' })
  expectFiles(await lab.images.rootfs.mount('c1', id))
})

test('what a layer leaves open is taken from those below: attributes of a directory, and the file of a hard link', async () => {
  await using lab = openImageLab({ format: 'erofs' })
  const below: readonly TarFile[] = [
    { name: 'tmp/', type: 'directory', mode: 0o1777, uid: 7 },
    { name: 'tmp/old', content: 'old' },
  ]
  const implying: readonly TarFile[] = [
    { name: 'tmp/new', content: 'new' },
    { name: 'hard', type: 'link', linkName: 'tmp/old' },
  ]
  const layered = buildImage({ layers: [below, implying] })
  const id = await lab.images.store.add(imageSource(layered), never)
  const root = await lab.images.rootfs.mount('c1', id)
  expect(statSync(join(root, 'tmp'))).toMatchObject({ mode: 0o041777, uid: 7 })
  expect(readdirSync(join(root, 'tmp'))).toEqual(['new', 'old'])
  expect(readFileSync(join(root, 'hard'), 'utf8')).toBe('old')
  await lab.images.settled()
  expect(readdirSync(lab.layerMounts)).toEqual(await mounted(lab))
  expect(await mounted(lab)).toHaveLength(2)
})

test('image volumes are mounted from files', async () => {
  await using lab = openImageLab({ format: 'erofs' })
  const id = await lab.images.store.add(imageSource(image), never)
  const request = { index: 0, imageId: id, subPath: '' }
  expectFiles(await lab.images.volumes.mount('c1', request))
  await lab.images.volumes.remove('c1')
  await lab.images.settled()
  expect(readdirSync(lab.layerMounts)).toEqual([])
})

test('a layer that cannot be mounted is named, and nothing is left behind', async () => {
  await using lab = openImageLab({ format: 'erofs' })
  const id = await lab.images.store.add(imageSource(baseOnly), never)
  writeFileSync(join(lab.root, 'layers/1'), 'no EROFS')
  await expect(lab.images.rootfs.mount('c1', id)).rejects.toThrow(
    /^layer sha256:\w+: .*layers\/1 cannot be mounted as EROFS$/,
  )
  await lab.images.settled()
  expect(readdirSync(lab.layerMounts)).toEqual([])
})

describe('in a user namespace', () => {
  const mapping = { containerId: 0, hostId: 200_000, length: 65_536 }
  const mappings = { uids: mapping, gids: { ...mapping, hostId: 300_000 } }
  let watcher: ProcessWatcher
  let holder: NamespaceHolder
  beforeAll(async () => {
    watcher = new ProcessWatcher()
    holder = await holdUserNamespace(mappings, [], { watcher })
  })
  afterAll(async () => {
    await holder[Symbol.asyncDispose]()
    await watcher[Symbol.asyncDispose]()
  })

  test("the files belong to the namespace's ids", async () => {
    await using lab = openImageLab({ format: 'erofs' })
    const id = await lab.images.store.add(imageSource(image), never)
    const userNamespace = { path: holder.path('user'), mappings }
    const root = await lab.images.rootfs.mount('c1', id, { userNamespace })
    expect(statSync(root)).toMatchObject({ uid: 200_004, gid: 300_000 })
    expect(lstatSync(join(root, 'bin/su'))).toMatchObject({ uid: 200_005, gid: 300_006 })
    expectFiles(root)
    const volume = await lab.images.volumes.mount('c1', {
      index: 0,
      imageId: id,
      subPath: '',
      userNamespace: userNamespace.path,
    })
    expect(lstatSync(join(volume, 'bin/su'))).toMatchObject({ uid: 200_005, gid: 300_006 })
    const plain = await lab.images.rootfs.mount('c2', id)
    expect(lstatSync(join(plain, 'bin/su'))).toMatchObject({ uid: 5, gid: 6 })
    expect(await mounted(lab)).toHaveLength(2)
  })
})
