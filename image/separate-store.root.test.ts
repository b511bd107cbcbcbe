import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { mount, unmount } from '#linux/libc.ts'
import { ProcessWatcher } from '#linux/process-watcher.ts'
import { holdUserNamespace } from '#linux/user-namespace.ts'
import { here, never, one, openImageLab } from '#test/fixtures/image-lab.ts'
import { imageSource } from '#test/fixtures/image-sources.ts'

/** Images on a tmpfs, what containers write on the disk. */
let disk: string
let containersRoot: string
beforeEach(() => {
  disk = mkdtempSync('/var/lib/cri-ts-disk-')
  containersRoot = mkdtempSync('/var/lib/cri-ts-root-')
  mount('tmpfs', disk, 'tmpfs', 0)
  onTestFinished(async () => {
    await unmount(disk)
    for (const path of [disk, containersRoot]) rmSync(path, { recursive: true })
  })
})

test('layers lie on a disk of their own, what containers write on that of the root directory', async () => {
  await using lab = openImageLab({ containersRoot }, disk)
  const { images } = lab
  await images.store.add(imageSource(one), never)
  const root = await images.rootfs.mount('c', one.id)
  writeFileSync(join(root, 'new'), 'new')
  expect(readFileSync(join(root, 'one'), 'utf8')).toBe('1')
  expect(readdirSync(join(containersRoot, 'rootfs/c/upper'))).toEqual(['new'])
  expect(readdirSync(lab.root).toSorted()).toEqual(expect.arrayContaining(['images.db', 'layers', 'trash']))
  await images.rootfs.remove('c')
  await images.settled()
  expect(readdirSync(join(containersRoot, 'rootfs'))).toEqual([])
  expect(readdirSync(join(containersRoot, 'trash'))).toEqual([])
})

test('each file system answers for its own use, in bytes and in inodes', async () => {
  await using lab = openImageLab({ containersRoot }, disk)
  const { store, rootfs } = lab.images
  await store.add(imageSource(one), never)
  const root = await rootfs.mount('c', one.id)
  writeFileSync(join(root, 'new'), Buffer.alloc(1 << 20))
  await expect.poll(() => rootfs.written('c')?.usedBytes).toBeGreaterThan(1 << 20)
  const { images, containers } = await store.usage()
  expect(images).toMatchObject({ path: lab.root, usedInodes: 7 })
  expect(images.usedBytes).toBeLessThan(1 << 20)
  expect(containers).toMatchObject({ path: containersRoot, usedInodes: 2 })
  expect(containers.usedBytes).toBeGreaterThan(1 << 20)
})

test('two directories of one file system are answered as one', async () => {
  await using lab = openImageLab({ containersRoot })
  await lab.images.store.add(imageSource(one), never)
  const { images, containers } = await lab.images.store.usage()
  expect(containers).toEqual(images)
})

test('a container in a user namespace has its ids there, too', async () => {
  await using watcher = new ProcessWatcher()
  const ids = { containerId: 0, hostId: 200_000, length: 65_536 }
  const mappings = { uids: ids, gids: ids }
  await using holder = await holdUserNamespace(mappings, [], { watcher })
  await using lab = openImageLab({ containersRoot }, disk)
  await lab.images.store.add(imageSource(one), never)
  const userNamespace = { path: holder.path('user'), mappings }
  const root = await lab.images.rootfs.mount('c', one.id, { userNamespace })
  expect(readFileSync(join(root, 'one'), 'utf8')).toBe('1')
})

test('what a container left of itself on either disk is swept at the next start', async () => {
  await using lab = openImageLab({ containersRoot }, disk)
  await lab.close()
  for (const path of [join(containersRoot, 'rootfs/x'), join(lab.root, 'layers/tmp-x')]) mkdirSync(path)
  await lab.reopen()
  await lab.images.settled()
  expect(readdirSync(join(containersRoot, 'rootfs'))).toEqual([])
  expect(here(lab.root)).toEqual({ layers: [], trash: [] })
})

test('what a container that is there has written stays, though no record of the store knows it', async () => {
  const containerIds = (): readonly string[] => ['c']
  await using lab = openImageLab({ containersRoot, containerIds }, disk)
  await lab.close()
  for (const id of ['c', 'x']) mkdirSync(join(containersRoot, 'rootfs', id))
  await lab.reopen()
  expect(readdirSync(join(containersRoot, 'rootfs'))).toEqual(['c'])
  expect(await lab.images.upkeep.check({ repair: true, deep: false }, never)).toMatchObject({ problems: [] })
  await lab.images.rootfs.remove('c')
  expect(readdirSync(join(containersRoot, 'rootfs'))).toEqual([])
})
