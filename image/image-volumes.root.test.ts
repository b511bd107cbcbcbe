import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { isMounted } from '#linux/overlay.ts'
import { buildImage, type ImageOptions } from '#test/fixtures/image.ts'
import { here, type ImageLab, never, openImageLab } from '#test/fixtures/image-lab.ts'
import { imageSource } from '#test/fixtures/image-sources.ts'

const add = (lab: ImageLab, layers: ImageOptions['layers']): Promise<string> =>
  lab.images.store.add(imageSource(buildImage({ layers }), {}), never)

const layers: ImageOptions['layers'] = [
  [
    { name: 'gone', content: 'x' },
    { name: 'model', type: 'directory', mode: 0o750 },
    { name: 'model/weights', content: 'of the first' },
  ],
  [
    { name: '.wh.gone' },
    { name: 'model/weights', content: 'of the second' },
    { name: 'latest', type: 'symlink', linkName: 'model' },
    { name: 'out', type: 'symlink', linkName: '../../../../etc' },
    { name: 'etc/inside', content: 'x' },
  ],
]

test.for([0, 1, 2])('an image of %i layers is mounted read-only, as its layers show it', async (count) => {
  await using lab = openImageLab()
  const imageId = await add(lab, layers.slice(0, count))
  const path = await lab.images.volumes.mount('c1', { index: 0, imageId, subPath: '' })
  expect(readdirSync(path)).toEqual([[], ['gone', 'model'], ['etc', 'latest', 'model', 'out']][count])
  expect(() => writeFileSync(join(path, 'new'), '')).toThrow('EROFS')
})

test('a sub path is looked up inside the image, whatever its links say', async () => {
  await using lab = openImageLab()
  const imageId = await add(lab, layers)
  const mount = (subPath: string, index = 0) => lab.images.volumes.mount('c1', { index, imageId, subPath })
  expect(readFileSync(join(await mount('latest'), 'weights'), 'utf8')).toBe('of the second')
  expect(readdirSync(await mount('out', 1))).toEqual(['inside'])
  await expect(mount('missing/path')).rejects.toMatchObject({
    kind: 'not-found',
    message: 'image_sub_path missing/path: there is no such path in the image: name a directory of it',
  })
  await expect(mount('model/weights')).rejects.toThrow('it is no directory in the image')
})

test('the layers of a volume stay for as long as it is there, and go with it', async () => {
  await using lab = openImageLab()
  const { store, volumes } = lab.images
  const imageId = await add(lab, layers)
  const path = await volumes.mount('c1', { index: 0, imageId, subPath: '' })
  await volumes.mount('c2', { index: 0, imageId, subPath: '' })
  await store.remove(imageId)
  expect(here(lab.root).layers).toHaveLength(3) // With what lies between them: see image-patches.ts.
  expect(volumes.leftovers()).toEqual(['c1', 'c2'])
  await volumes.remove('c2')
  expect(readdirSync(join(path, 'model'))).toEqual(['weights'])
  await volumes.remove('c1')
  expect(here(lab.root).layers).toEqual([])
  expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined()
  expect(volumes.leftovers()).toEqual([])
  await volumes.remove('c1')
  await expect(volumes.mount('c1', { index: 0, imageId, subPath: '' })).rejects.toMatchObject({
    kind: 'not-found',
  })
})

test('what a daemon that was killed left is mounted again or removed by the next one', async () => {
  await using lab = openImageLab()
  const imageId = await add(lab, layers)
  const request = { index: 3, imageId, subPath: '' }
  // Killed after the mount, and before the answer was written down.
  const path = await lab.images.volumes.mount('c1', request)
  expect(await lab.images.volumes.mount('c1', request)).toBe(path)
  await lab.images.volumes.remove('c1')
  // Killed before the mount: its directory is there, nothing is mounted, and no record owns it.
  mkdirSync(path, { recursive: true })
  expect(lab.images.volumes.leftovers()).toEqual(['c1'])
  expect(lab.images.rootfs.leftovers()).toEqual([])
  await lab.images.volumes.remove('c1')
  expect(lab.images.volumes.leftovers()).toEqual([])
  expect(isMounted(path)).toBe(false)
})
