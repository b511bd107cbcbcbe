import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { buildImage } from '#test/fixtures/image.ts'
import { base, here, never, one, openImageLab, tag, two } from '#test/fixtures/image-lab.ts'
import { imageSource, pieces } from '#test/fixtures/image-sources.ts'

describe('two at once', () => {
  test('share the layers that both want', async () => {
    await using lab = openImageLab()
    const opened: number[] = []
    const source = (image: typeof one) =>
      imageSource(image, {
        open: async (index, _signal, bytes) => {
          opened.push(index)
          return pieces(bytes)
        },
      })
    const ids = await Promise.all([one, two, one].map((image) => lab.images.store.add(source(image), never)))
    expect(ids).toEqual([one.id, two.id, one.id])
    expect(opened.toSorted()).toEqual([0, 1, 1])
    expect(here(lab.root).layers).toHaveLength(3)
    await lab.images.store.add(source(buildImage({ layers: [base], config: { User: 'x' } })), never)
    expect(opened).toHaveLength(3)
  })

  test('do not share a failure: the second tries its own source', async () => {
    await using lab = openImageLab()
    const { promise: joined, resolve: join } = Promise.withResolvers<void>()
    const broken = imageSource(one, {
      open: async () => {
        await joined
        throw new Error('registry is down')
      },
    })
    const first = lab.images.store.add(broken, never)
    const second = lab.images.store.add(imageSource(one, { tags: [tag('a')] }), never)
    join()
    await expect(first).rejects.toThrow(/could not be had/)
    expect(await second).toBe(one.id)
  })

  test('do not share a cancellation: the first may leave', async () => {
    await using lab = openImageLab()
    const stop = new AbortController()
    const { promise: left, resolve: leave } = Promise.withResolvers<void>()
    const slow = imageSource(one, {
      open: async (_index, _signal, bytes) => {
        await left
        return pieces(bytes)
      },
    })
    const first = lab.images.store.add(slow, stop.signal)
    const second = lab.images.store.add(slow, never)
    stop.abort(new Error('deadline'))
    await expect(first).rejects.toThrow('deadline')
    leave()
    expect(await second).toBe(one.id)
  })

  test('an image that goes while another with its layer comes takes nothing from it', async () => {
    await using lab = openImageLab()
    const { store } = lab.images
    await store.add(imageSource(one), never)
    const removing = imageSource(two, {
      open: async (_index, _signal, bytes) => {
        await store.remove(one.id)
        return pieces(bytes)
      },
    })
    await store.add(removing, never)
    await lab.images.settled()
    expect(here(lab.root).layers).toEqual(['1', '3'])
    expect(readFileSync(join(lab.root, 'layers/1/etc/base'), 'utf8')).toBe('base')
  })
})
