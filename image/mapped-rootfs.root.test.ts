import { existsSync, lstatSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ProcessWatcher } from '#linux/process-watcher.ts'
import { holdUserNamespace, type NamespaceHolder } from '#linux/user-namespace.ts'
import { buildImage } from '#test/fixtures/image.ts'
import { openImageLab } from '#test/fixtures/image-lab.ts'
import { imageSource } from '#test/fixtures/image-sources.ts'

const never = new AbortController().signal
const mapping = { containerId: 0, hostId: 200_000, length: 65_536 }
const mappings = { uids: mapping, gids: { ...mapping, hostId: 300_000 } }
const image = buildImage({
  layers: [
    [{ name: 'a', content: 'a', uid: 5, gid: 6 }],
    [
      { name: './', type: 'directory', mode: 0o755, uid: 4 },
      { name: 'b', content: 'b' },
    ],
  ],
})
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
const user = () => ({ path: holder.path('user'), mappings })

test("the files of an image belong to the namespace's ids, and what changes is kept with these", async () => {
  await using lab = openImageLab()
  const { rootfs } = lab.images
  const id = await lab.images.store.add(imageSource(image), never)
  const root = await rootfs.mount('c1', id, { userNamespace: user() })
  expect(statSync(root)).toMatchObject({ uid: 200_004, gid: 300_000 })
  expect(statSync(join(root, 'a'))).toMatchObject({ uid: 200_005, gid: 300_006 })
  expect(statSync(join(root, 'b'))).toMatchObject({ uid: 200_000, gid: 300_000 })
  writeFileSync(join(root, 'a'), 'changed')
  expect(lstatSync(join(root, 'a'))).toMatchObject({ uid: 200_005, gid: 300_006 })
  expect(await rootfs.readFile('c1', '/a')).toBe('changed')
  await rootfs.unmount('c1')
  expect(await rootfs.mount('c1', id, { userNamespace: user() })).toBe(root)
  expect(readFileSync(join(root, 'a'), 'utf8')).toBe('changed')
  const plain = await rootfs.mount('c2', id)
  expect([statSync(join(plain, 'a')).uid, readFileSync(join(plain, 'a'), 'utf8')]).toEqual([5, 'a'])
  await rootfs.remove('c1')
  expect(existsSync(join(root, '..'))).toBe(false)
})

test('it is mounted where its root can get to it, and nobody else', async () => {
  await using lab = openImageLab()
  const id = await lab.images.store.add(imageSource(image), never)
  const root = await lab.images.rootfs.mount('c1', id, { userNamespace: user() })
  expect(statSync(join(root, '..'))).toMatchObject({ uid: 200_000, gid: 300_000, mode: 0o040700 })
})

test('an image of no layer has one, too', async () => {
  await using lab = openImageLab()
  const id = await lab.images.store.add(imageSource(buildImage({ layers: [] })), never)
  expect(statSync(await lab.images.rootfs.mount('c1', id, { userNamespace: user() }))).toMatchObject({
    uid: 200_000,
  })
})

test.for([1, 2])('an image volume of %i layers shows the ids of the namespace', async (count) => {
  await using lab = openImageLab()
  const layers = [[{ name: 'a', content: 'a', uid: 5, gid: 6 }], [{ name: 'b', content: 'b' }]].slice(
    0,
    count,
  )
  const imageId = await lab.images.store.add(imageSource(buildImage({ layers })), never)
  const userNamespace = holder.path('user')
  const path = await lab.images.volumes.mount('c1', { index: 0, imageId, subPath: '', userNamespace })
  expect(statSync(join(path, 'a'))).toMatchObject({ uid: 200_005, gid: 300_006 })
  expect(() => writeFileSync(join(path, 'new'), '')).toThrow('EROFS')
  await lab.images.volumes.remove('c1')
})
