import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { buildImage } from '#test/fixtures/image.ts'
import { ociArchive } from '#test/fixtures/image-archive.ts'
import { limited } from './kubelet-manifests.ts'
import { useNode } from './kubelet-node.ts'
import { isReady } from './kubelet-pods.ts'
import { summaryOf } from './kubelet-traces.ts'
import { IMAGE } from './pod.ts'
import { until } from './until.ts'

const PINNED = 'localhost/pinned:latest'
const SPARE = 'localhost/spare:latest'
const MIB = 1 << 20

// Of a size that kubelet finds too little of.
const store = mkdtempSync('/run/cri-ts-split-')
execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=96m', 'cri-ts-test', store])
afterAll(() => {
  execFileSync('umount', [store])
  rmdirSync(store)
})

const node = useNode('crun', () => [limited()], {
  config: `[image]\nimage_store = "${store}"\npinned_images = ["${PINNED}"]\n`,
  configuration: {
    imageMinimumGCAge: '1s',
    evictionHard: { 'memory.available': '20Mi', 'nodefs.available': '1%', 'imagefs.available': '18Mi' },
  },
})

async function importImage(name: string, sizeBytes: number): Promise<void> {
  const { daemon } = node()
  const file = join(daemon.directory, 'image.tar')
  const image = buildImage({ layers: [[{ name, content: randomBytes(sizeBytes) }]], compression: 'plain' })
  writeFileSync(file, ociArchive([image]))
  await daemon.criTs('images', 'import', '--name', name, file)
}
const names = async (): Promise<readonly string[]> =>
  JSON.parse(await node().daemon.criTs('images', 'ls', '--json')).flatMap(
    ({ tags }: { tags: string[] }) => tags,
  )

test('kubelet knows the disk of the images', async () => {
  const { kubelet } = node()
  await kubelet.podThat('limited', 'ready', isReady)
  const { imageFs } = (await summaryOf(kubelet)).node.runtime
  expect(imageFs.capacityBytes).toBe(96 * MIB)
  expect(imageFs.usedBytes).toBeGreaterThan(MIB)
})

test('when the disk of the images fills kubelet removes the unused image, not the pinned one, and needs no pod to go', async () => {
  const { running, kubelet } = node()
  const before = await running('limited')
  await importImage(PINNED, MIB)
  await importImage(SPARE, 80 * MIB)
  await until('kubelet has removed it', async () => !(await names()).includes(SPARE), 90_000)
  expect(await names()).toEqual(expect.arrayContaining([IMAGE, PINNED]))
  // It looks at the disk as soon as the removal is answered.
  const decision = () => {
    const [, after = ''] = kubelet.log().split('"Removing image to free bytes"')
    return /Eviction manager: (able to reduce resource pressure without|must) evict/.exec(after)?.[1]
  }
  await until('kubelet has looked at the disk', () => decision() !== undefined)
  expect(decision()).toMatch(/without$/)
  expect(await running('limited')).toEqual(before)
})
