import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { unmount } from './libc.ts'
import { mappedOverlayMounter } from './mapped-overlay.ts'
import { type OverlayCall, type OverlayLayers, overlayMounter } from './overlay.ts'
import { ProcessWatcher } from './process-watcher.ts'
import { holdUserNamespace } from './user-namespace.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync('/var/lib/cri-ts-overlay-')
  mkdirSync(join(home, 'target'))
})
afterEach(async () => {
  await unmount(join(home, 'target'))
  rmSync(home, { recursive: true })
})

/** Layers of a file each, in two directories with names that leave mount(2) and fsconfig(2) no room. */
function layersOf(count: number, directoryName = 'x'.repeat(200)): OverlayLayers {
  const lower = Array.from({ length: count }, (_, index) => {
    const path = join(home, `${directoryName}${index % 2}`, index.toString(36))
    mkdirSync(path, { recursive: true })
    writeFileSync(join(path, `file-${index}`), '')
    return path
  })
  const own = join(home, 'y'.repeat(240))
  for (const name of ['upper', 'work']) mkdirSync(join(own, name), { recursive: true })
  return { lower: [lower[0] ?? '', ...lower.slice(1)], upper: join(own, 'upper'), work: join(own, 'work') }
}

describe.for<OverlayCall>(['fsconfig', 'mount'])('told by %s', (call) => {
  test('127 layers in two places with long names become one file system that can be written', () => {
    const layers = layersOf(127)
    overlayMounter(call)(layers, join(home, 'target'))
    expect(readdirSync(join(home, 'target'))).toHaveLength(127)
    writeFileSync(join(home, 'target/new'), '')
    expect(readdirSync(layers.upper)).toEqual(['new'])
  })

  test('what overlayfs would take for its own signs may stand in a path', () => {
    overlayMounter(call)(layersOf(3, 'a:b,c\\d'), join(home, 'target'))
    expect(readdirSync(join(home, 'target'))).toHaveLength(3)
  })

  test('127 layers can have the ids of a user namespace', async () => {
    await using watcher = new ProcessWatcher()
    const mapping = { containerId: 0, hostId: 200_000, length: 65_536 }
    await using holder = await holdUserNamespace({ uids: mapping, gids: mapping }, [], { watcher })
    await mappedOverlayMounter(overlayMounter(call))({
      layers: layersOf(127),
      target: join(home, 'target'),
      userNamespace: holder.path('user'),
      staging: join(home, 'staging'),
    })
    expect(readdirSync(join(home, 'target'))).toHaveLength(127)
  })
})

test('as many layers as overlayfs takes fit, and one more is refused with its words', () => {
  const layers = layersOf(501)
  const [top, ...below] = layers.lower
  const mount = overlayMounter('fsconfig')
  expect(() => mount(layers, join(home, 'target'))).toThrow(/lowerdir\+ .*too many lower directories.*500/)
  mount({ ...layers, lower: [top, ...below.slice(0, 499)] }, join(home, 'target'))
  expect(readdirSync(join(home, 'target'))).toHaveLength(500)
})
