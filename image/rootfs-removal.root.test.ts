import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { buildImage } from '#test/fixtures/image.ts'
import { base, openImageLab } from '#test/fixtures/image-lab.ts'
import { imageSource } from '#test/fixtures/image-sources.ts'

const never = new AbortController().signal

function smallDisk() {
  const path = mkdtempSync('/run/cri-ts-small-')
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=100m', 'cri-ts-test', path])
  return {
    path,
    [Symbol.dispose]() {
      execFileSync('umount', [path])
      rmdirSync(path)
    },
  }
}

test('what a container wrote is deleted when its removal is answered where the disk is full: kubelet looks at it then', async () => {
  using disk = smallDisk()
  await using lab = openImageLab({}, disk.path)
  const { store, rootfs } = lab.images
  const id = await store.add(imageSource(buildImage({ layers: [base] })), never)
  const root = await rootfs.mount('c1', id)
  writeFileSync(join(root, 'much'), Buffer.alloc(90 << 20, 'x'))
  await rootfs.remove('c1')
  expect(readdirSync(join(lab.root, 'trash'))).toEqual([])
})
