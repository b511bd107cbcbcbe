import { lstatSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openForeignImageRecords } from '#store/image-records.ts'
import { buildImage } from '#test/fixtures/image.ts'
import { here, type ImageLab, type LabOptions, never, openImageLab } from '#test/fixtures/image-lab.ts'
import { imageSource } from '#test/fixtures/image-sources.ts'
import type { TarFile } from '#test/fixtures/tar.ts'

const bottom: readonly TarFile[] = [
  { name: 'a/', type: 'directory', mode: 0o1777 },
  { name: 'a/file', content: 'file' },
]
/** It implies the directory of the one below, and is of a file there. */
const link: readonly TarFile[] = [{ name: 'a/link', type: 'link', linkName: 'a/file' }]
const theirs = buildImage({ layers: [bottom, link] })

/** A store beside another one that has the image `theirs`, and was closed. */
async function besideTheirs(stack: AsyncDisposableStack, options: LabOptions = {}): Promise<ImageLab> {
  const other = stack.use(openImageLab({ format: options.format ?? 'overlay' }))
  await other.images.store.add(imageSource(theirs), never)
  await other.close()
  const records = stack.use(openForeignImageRecords(join(other.root, 'images.db')))
  return stack.use(openImageLab({ ...options, additional: [{ root: other.root, records }] }))
}

async function expectWhole(lab: ImageLab, imageId: string): Promise<void> {
  const root = await lab.images.rootfs.mount('c', imageId)
  expect(readFileSync(join(root, 'a/link'), 'utf8')).toBe('file')
  expect((statSync(join(root, 'a')).mode & 0o7777).toString(8)).toBe('1777')
}

describe.for(['overlay', 'erofs'] as const)('layers of an additional store in the format %s', (format) => {
  test('bring what fills their gaps to an image on top of them', async () => {
    await using stack = new AsyncDisposableStack()
    const lab = await besideTheirs(stack, { format })
    const image = buildImage({ layers: [bottom, link, [{ name: 'top' }]] })
    await expectWhole(lab, await lab.images.store.add(imageSource(image), never))
    expect(here(lab.root).layers).toHaveLength(1)
  })

  test('have their gaps filled where other layers lie between them, also the next time', async () => {
    await using stack = new AsyncDisposableStack()
    const lab = await besideTheirs(stack, { format })
    const first = buildImage({ layers: [bottom, [{ name: 'between' }], link] })
    await expectWhole(lab, await lab.images.store.add(imageSource(first), never))
    await lab.images.rootfs.remove('c')
    const second = buildImage({ layers: [bottom, [{ name: 'other' }], link] })
    await expectWhole(lab, await lab.images.store.add(imageSource(second), never))
    expect(lstatSync(join(lab.mountPoint('c'), 'other')).isFile()).toBe(true)
  })
})

test('layers that a container takes over while a pull is being committed are not recorded twice', async () => {
  await using stack = new AsyncDisposableStack()
  const started: Promise<string>[] = []
  const atStep = (step: string): void => {
    if (step === 'sync') started.push(lab.images.rootfs.mount('started', theirs.id))
  }
  const lab = await besideTheirs(stack, { atStep })
  const image = buildImage({ layers: [bottom, link, [{ name: 'top' }]] })
  await expectWhole(lab, await lab.images.store.add(imageSource(image), never))
  expect(await Promise.all(started)).toEqual([lab.mountPoint('started')])
})
