import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { until } from '#test/e2e/until.ts'
import { buildImage } from '#test/fixtures/image.ts'
import { base, openImageLab } from '#test/fixtures/image-lab.ts'
import { imageSource } from '#test/fixtures/image-sources.ts'

const never = new AbortController().signal

test('what a container has written much to is deleted when its removal is answered: kubelet looks at the disk then', async () => {
  await using lab = openImageLab()
  const { store, rootfs } = lab.images
  const id = await store.add(imageSource(buildImage({ layers: [base] })), never)
  const root = await rootfs.mount('c1', id)
  writeFileSync(join(root, 'much'), Buffer.alloc(80 << 20, 'x'))
  await until('it is measured', () => Number(rootfs.written('c1')?.usedBytes) > 64 << 20)
  await rootfs.remove('c1')
  expect(readdirSync(join(lab.root, 'trash'))).toEqual([])
  expect(existsSync(join(lab.root, 'rootfs/c1'))).toBe(false)
})
