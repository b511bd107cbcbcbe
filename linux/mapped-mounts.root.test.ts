import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { IdMappings } from '#lib/id-mappings.ts'
import type { MappedMountRequest, MappedMounts } from '#runtime/mapped-mounts-port.ts'
import { WorkerHostPaths } from './host-paths.ts'
import { MS_BIND, mount, unmount } from './libc.ts'
import { createMappedMounts } from './mapped-mounts.ts'
import { createObjectLocks } from './object-lock.ts'
import { ProcessWatcher } from './process-watcher.ts'
import { holdUserNamespace } from './user-namespace.ts'

const MS_SHARED = 1 << 20
const mapping = { containerId: 0, hostId: 200_000, length: 65_536 }
const mappings: IdMappings = { uids: mapping, gids: { ...mapping, hostId: 300_000 } }
let directory: string
let watcher: ProcessWatcher
let hostPaths: WorkerHostPaths
let mounts: MappedMounts
beforeEach(() => {
  directory = mkdtempSync('/var/lib/cri-ts-test-')
  watcher = new ProcessWatcher()
  hostPaths = new WorkerHostPaths()
  mounts = createMappedMounts({
    directory: join(directory, 'mapped'),
    watcher,
    lock: createObjectLocks(join(directory, 'locks')).hold,
    copy: (...copy) => hostPaths.mountMappedCopy(...copy),
  })
  mkdirSync(join(directory, 'volume/below'), { recursive: true })
  writeFileSync(join(directory, 'volume/file'), 'content')
  chownSync(join(directory, 'volume/file'), 5, 6)
})
afterEach(async () => {
  await mounts.remove('c')
  await hostPaths[Symbol.asyncDispose]()
  await watcher[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})

const request = (name: string, kind: 'directory' | 'file' = 'directory'): MappedMountRequest => ({
  containerId: 'c',
  name: '0',
  source: { path: join(directory, name), kind, restrictions: [] },
  mappings,
  userNamespace: undefined,
})
const mountsHere = (): readonly string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(directory))

test('a volume is seen with mapped ids, and its files keep theirs', async () => {
  const copy = await mounts.mount(request('volume'))
  expect(statSync(join(copy, 'file'))).toMatchObject({ uid: 200_005, gid: 300_006 })
  writeFileSync(join(copy, 'file'), 'changed')
  expect(readFileSync(join(directory, 'volume/file'), 'utf8')).toBe('changed')
  expect(statSync(join(directory, 'volume/file'))).toMatchObject({ uid: 5, gid: 6 })
  await mounts.remove('c')
  expect([mountsHere(), mounts.leftovers()]).toEqual([[], []])
})

test("a file is, by the pod's own namespace", async () => {
  await using holder = await holdUserNamespace(mappings, [], { watcher })
  const copy = await mounts.mount({ ...request('volume/file', 'file'), userNamespace: holder.path('user') })
  expect(statSync(copy)).toMatchObject({ uid: 200_005, gid: 300_006 })
})

test('a tmpfs is, as secrets lie on', async () => {
  mount('tmpfs', join(directory, 'volume'), 'tmpfs', 0, 'uid=7')
  try {
    expect(statSync(await mounts.mount(request('volume')))).toMatchObject({ uid: 200_007 })
    await mounts.remove('c')
  } finally {
    await unmount(join(directory, 'volume'))
  }
})

test('its removal leaves what is mounted in the volume, though the volume is shared', async () => {
  const volume = join(directory, 'volume')
  mount(volume, volume, '', MS_BIND)
  mount('', volume, '', MS_SHARED)
  mount('tmpfs', join(volume, 'below'), 'tmpfs', 0, 'uid=7')
  const before = mountsHere()
  try {
    const copy = await mounts.mount(request('volume'))
    expect(statSync(join(copy, 'below')).uid).toBe(200_007)
    await mounts.remove('c')
    expect(mountsHere()).toEqual(before)
  } finally {
    await unmount(join(volume, 'below'))
    await unmount(volume)
  }
})

test('a removal that finds more mounted than it can take away deletes nothing of the volume', async () => {
  await mounts.mount(request('volume'))
  await mounts.mount(request('volume')) // Over the first.
  await expect(mounts.remove('c')).rejects.toThrow('EBUSY')
  expect(readFileSync(join(directory, 'volume/file'), 'utf8')).toBe('content')
  await mounts.remove('c')
  expect([mountsHere(), mounts.leftovers()]).toEqual([[], []])
  expect(readFileSync(join(directory, 'volume/file'), 'utf8')).toBe('content')
})

test("what can not be mapped below a volume is left as it is, to be nobody's", async () => {
  mount('proc', join(directory, 'volume/below'), 'proc', 0)
  try {
    const copy = await mounts.mount(request('volume'))
    expect(statSync(join(copy, 'file')).uid).toBe(200_005)
    expect(statSync(join(copy, 'below')).uid).toBe(0)
    await mounts.remove('c')
  } finally {
    await unmount(join(directory, 'volume/below'))
  }
})

test('a volume that can not be mapped is refused by name', async () => {
  mount('proc', join(directory, 'volume'), 'proc', 0)
  try {
    await expect(mounts.mount(request('volume'))).rejects.toMatchObject({
      kind: 'failed-precondition',
      message: expect.stringMatching(
        /^ids of .*volume can't be mapped .*\(its file system does not support that\)/,
      ),
    })
  } finally {
    await unmount(join(directory, 'volume'))
  }
})

test('one that is mapped already is, too', async () => {
  const copy = await mounts.mount(request('volume'))
  const again = { ...request('volume'), name: '1', source: { ...request('volume').source, path: copy } }
  await expect(mounts.mount(again)).rejects.toThrow('its ids are mapped already')
})
