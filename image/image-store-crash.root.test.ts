import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { runCommand } from '#linux/command.ts'
import { ProcessWatcher } from '#linux/process-watcher.ts'
import { crashImage, crashTag } from '#test/fixtures/add-image.ts'
import { here, never, one, openImageLab, two } from '#test/fixtures/image-lab.ts'
import { imageSource } from '#test/fixtures/image-sources.ts'
import type { LayerFormat } from './layer-format.ts'

describe('after a crash', () => {
  test.for<readonly [string, LayerFormat]>([
    ...['sync', 'rename', 'commit', 'committed', 'discard'].map((step) => [step, 'overlay'] as const),
    ...['commit', 'committed'].map((step) => [step, 'erofs'] as const),
  ])('before the step %s all is whole or gone: %s', async ([step, format]) => {
    await using lab = openImageLab({ format })
    await using watcher = new ProcessWatcher()
    const script = fileURLToPath(new URL('../test/fixtures/add-image.ts', import.meta.url))
    mkdirSync(lab.root, { recursive: true })
    const killed = await runCommand(watcher, {
      argv: [process.execPath, script, lab.root, step, format],
      timeoutMs: 20_000,
    })
    expect(killed).toMatchObject({ signal: 9 })
    await lab.reopen()
    const { store } = lab.images
    const survives = step === 'committed'
    expect(store.list().map(({ tags }) => tags)).toEqual(survives ? [[crashTag]] : [])
    await lab.images.settled()
    expect(here(lab.root)).toMatchObject({ layers: survives ? ['1', '2'] : [], trash: [] })
    await store.add(imageSource(crashImage), never)
    expect(store.list()).toHaveLength(1)
  })

  test('what no record owns is deleted, and an image whose layer is lost is dropped', async () => {
    await using lab = openImageLab()
    await lab.images.store.add(imageSource(one), never)
    await lab.images.store.add(imageSource(two), never)
    mkdirSync(join(lab.root, 'layers/tmp-x'))
    mkdirSync(join(lab.root, 'rootfs/unknown'), { recursive: true })
    writeFileSync(join(lab.root, 'trash/import-x'), '')
    rmSync(join(lab.root, 'layers/2'), { recursive: true })
    await lab.reopen()
    expect(lab.images.store.list().map(({ id }) => id)).toEqual([two.id])
    expect(lab.journal).toEqual(['warn a layer is lost: its images are dropped, pull them again'])
    await lab.images.settled()
    expect(here(lab.root)).toEqual({ layers: ['1', '3'], trash: [] })
    expect(readdirSync(join(lab.root, 'rootfs'))).toEqual([])
    await lab.images.store.add(imageSource(one), never)
    expect(readFileSync(join(lab.root, 'layers/4/one'), 'utf8')).toBe('1')
  })
})
