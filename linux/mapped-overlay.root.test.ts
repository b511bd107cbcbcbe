import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { SystemError, unmount } from './libc.ts'
import { mappedOverlayMounter } from './mapped-overlay.ts'
import { type OverlayLayers, overlayMounter } from './overlay.ts'
import { ProcessWatcher } from './process-watcher.ts'
import { holdUserNamespace, type NamespaceHolder } from './user-namespace.ts'

const EINVAL = 22
const mapping = { containerId: 0, hostId: 200_000, length: 65_536 }
let home: string
let watcher: ProcessWatcher
let holder: NamespaceHolder
beforeEach(async () => {
  home = mkdtempSync('/var/lib/cri-ts-test-')
  for (const name of ['layers/1', 'layers/2', 'upper', 'work', 'target'])
    mkdirSync(join(home, name), { recursive: true })
  writeFileSync(join(home, 'layers/1/file'), '')
  watcher = new ProcessWatcher()
  holder = await holdUserNamespace({ uids: mapping, gids: mapping }, [], { watcher })
})
afterEach(async () => {
  await unmount(join(home, 'target'))
  await holder[Symbol.asyncDispose]()
  await watcher[Symbol.asyncDispose]()
  rmSync(home, { recursive: true })
})

const overlay = () => ({
  layers: {
    lower: [join(home, 'layers/2'), join(home, 'layers/1')] as const,
    upper: join(home, 'upper'),
    work: join(home, 'work'),
  },
  target: join(home, 'target'),
  userNamespace: holder.path('user'),
  staging: join(home, 'staging'),
})

/** As a kernel before 6.15 does. */
const old =
  (seen: string[]) =>
  (layers: OverlayLayers, target: string): void => {
    seen.push(layers.lower[0])
    if (layers.lower[0].startsWith('/proc/self/fd/')) throw new SystemError('mount', 'overlay', EINVAL)
    overlayMounter()(layers, target)
  }

test('a kernel that takes no layers of detached mounts gets them attached meanwhile, and is not asked again', async () => {
  const seen: string[] = []
  const mount = mappedOverlayMounter(old(seen))
  for (const attempt of [1, 2]) {
    await mount(overlay())
    expect(statSync(join(home, 'target/file')).uid, `${attempt}`).toBe(200_000)
    expect(existsSync(join(home, 'staging'))).toBe(false)
    await unmount(join(home, 'target'))
    rmSync(join(home, 'work'), { recursive: true }) // A volatile one is used once.
    mkdirSync(join(home, 'work'))
  }
  expect(seen.map((path) => path.startsWith('/proc/'))).toEqual([true, false, false])
})

test('layers whose file system can not map ids are refused by name', async () => {
  const { layers } = overlay()
  const failure = mappedOverlayMounter(overlayMounter())({
    ...overlay(),
    layers: { ...layers, lower: ['/proc/1'] },
  })
  await expect(failure).rejects.toThrow(
    /^the ids of \/proc can't be mapped for a user namespace: put the root/,
  )
})
