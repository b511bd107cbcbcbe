import { execFileSync } from 'node:child_process'
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { measureVerity } from '#linux/fs-verity.ts'
import { buildImage } from '#test/fixtures/image.ts'
import { never, openImageLab } from '#test/fixtures/image-lab.ts'
import { imageSource } from '#test/fixtures/image-sources.ts'

/** A kernel with fs-verity; the file system that has it is made by hack/e2e-guest. */
let home: string
let disk: string
beforeAll(() => {
  home = mkdtempSync('/var/lib/cri-ts-verity-')
  disk = join(home, 'disk')
  const file = join(home, 'disk.img')
  mkdirSync(disk)
  copyFileSync(process.env['CRI_TS_VERITY_DISK'] ?? '', file)
  execFileSync('mount', ['-o', 'loop', file, disk])
})
afterAll(() => {
  execFileSync('umount', [disk])
  rmSync(home, { recursive: true })
})

test('a layer that is a file is held by the kernel to what was pulled, and not mounted when another takes its place', async () => {
  await using lab = openImageLab({ format: 'erofs' }, disk)
  const image = buildImage({ layers: [[{ name: 'a', content: 'a' }]] })
  const id = await lab.images.store.add(imageSource(image), never)
  const layer = join(lab.root, 'layers/1')
  using held = new DisposableStack()
  expect(measureVerity(held.adopt(openSync(layer, 'r'), closeSync))).toMatch(/^sha256:[0-9a-f]{64}$/)
  expect(() => writeFileSync(layer, 'changed')).toThrow(/EPERM/)
  expect(readFileSync(join(await lab.images.rootfs.mount('c1', id), 'a'), 'utf8')).toBe('a')
  await lab.images.rootfs.remove('c1')
  copyFileSync(layer, `${layer}.copy`)
  renameSync(`${layer}.copy`, layer)
  await expect(lab.images.rootfs.mount('c2', id)).rejects.toThrow(
    /has the fs-verity digest of none, it was stored with sha256:/,
  )
})
