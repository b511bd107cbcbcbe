import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createAttachmentCache } from '#cni/attachment-cache.ts'
import { mount, unmount } from '#linux/libc.ts'
import { openImageRecords } from '#store/image-records.ts'
import { openRecords } from '#store/records.ts'
import { containerRecord, sandboxRecord } from '#test/fakes/records.ts'

/** A file system of 10 MiB. */
let disk: string
beforeEach(() => {
  disk = mkdtempSync('/var/lib/cri-ts-test-')
  mount('disk', disk, 'tmpfs', 0, 'size=10m')
})
afterEach(async () => {
  await unmount(disk)
  rmSync(disk, { recursive: true })
})

/** To its last byte, as a container does that writes without end. */
function fill(): void {
  const file = openSync(join(disk, 'big'), 'a')
  try {
    for (;;) writeSync(file, Buffer.alloc(4096))
  } catch (error) {
    expect(error).toMatchObject({ code: 'ENOSPC' })
  } finally {
    closeSync(file)
  }
}

const ids = Array.from({ length: 50 }, (_, n) => `id-${n}`)
const stopped = { phase: 'stopped', ips: ['10.0.0.2'] } as const

test('on a full disk all that there is can be changed many times, and removed', async () => {
  const records = openRecords(join(disk, 'records.db'))
  for (const id of ids) {
    await records.sandboxes.put(sandboxRecord(id))
    await records.containers.put(containerRecord(id))
  }
  for (let round = 0; round < 20; round += 1) {
    fill()
    for (const id of ids) {
      await records.sandboxes.put(
        sandboxRecord(id, { state: { phase: 'stopping', ips: [`10.0.0.${round}`] } }),
      )
      await records.sandboxes.put(sandboxRecord(id, { state: stopped }))
      await records.containers.put(containerRecord(id, { stopSignal: `SIGRTMIN+${round}` }))
    }
  }
  expect((await records.sandboxes.all()).map(({ state }) => state)).toEqual(ids.map(() => stopped))
  for (const id of ids) {
    await records.containers.remove(id)
    await records.sandboxes.remove(id)
  }
  expect([await records.sandboxes.all(), await records.containers.all()]).toEqual([[], []])
  records.close()
})

test('images and root file systems can be removed on a full disk', () => {
  using images = openImageRecords(join(disk, 'images.db'))
  const layer = {
    format: 'overlay' as const,
    verity: undefined,
    number: 1,
    diffId: 'sha256:1',
    compressedBytes: 1,
    usedBytes: 1,
    usedInodes: 1,
  }
  const image = {
    ...{
      id: 'sha256:a',
      config: Buffer.from('{}'),
      manifestDigest: undefined,
      sizeBytes: 1,
      pulledAtNs: '1',
    },
    ...{ diffIds: ['sha256:1'], tags: ['a:1'], digests: [] },
  }
  images.putImage(image, [layer])
  images.putRootfs('c', image.diffIds, [])
  fill()
  images.removeRootfs('c')
  images.removeImage(image.id)
  expect(images.dropUnusedLayers(new Set())).toEqual([1])
})

test('what does not fit any more is refused as such, with the path, and harms nothing', async () => {
  const path = join(disk, 'records.db')
  const records = openRecords(path)
  await records.sandboxes.put(sandboxRecord('a'))
  fill()
  const large = sandboxRecord('large', { createdAtNs: '1'.repeat(4 << 20) })
  await expect(records.sandboxes.put(large)).rejects.toMatchObject({
    kind: 'resource-exhausted',
    message: `${path} cannot be written: free space on its file system`,
  })
  expect((await records.sandboxes.all()).map(({ id }) => id)).toEqual(['a'])
  rmSync(join(disk, 'big'))
  await records.sandboxes.put(large)
  records.close()
})

test('an attachment that cannot be written down is refused as such, with the path, and removed without room', async () => {
  const cache = createAttachmentCache(join(disk, 'cni'))
  fill()
  const network = {
    name: 'pods',
    cniVersion: '1.0.0',
    disableCheck: false,
    disableGC: false,
    plugins: [],
  } as const
  const attachment = { sandboxId: 'a', ifName: 'eth0', netnsPath: '', cniArgs: '', capabilityArgs: {} }
  await expect(cache.write({ ...attachment, network: { ...network, plugins: [] } })).rejects.toMatchObject({
    kind: 'resource-exhausted',
    message: expect.stringContaining(join(disk, 'cni/a.json.new')),
  })
  await cache.remove('a')
  expect(await cache.sandboxIds()).toEqual([])
})

test('records that were left by a killed daemon can be opened and removed on a full disk', async () => {
  const path = join(disk, 'records.db')
  const first = openRecords(path) // It is never closed: a kill would leave the same files.
  for (const id of ids) await first.sandboxes.put(sandboxRecord(id))
  fill()
  const second = openRecords(path)
  for (const id of ids) await second.sandboxes.remove(id)
  expect(await second.sandboxes.all()).toEqual([])
  second.close()
  first.close()
})
