import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { blobOf, buildImage } from '#test/fixtures/image.ts'
import { base, here, never, one, openImageLab, tag, two } from '#test/fixtures/image-lab.ts'
import { imageSource } from '#test/fixtures/image-sources.ts'

describe('an image that was added', () => {
  test.for(['gzip', 'zstd', 'plain'] as const)('is here, unpacked: %s', async (compression) => {
    await using lab = openImageLab()
    const { store } = lab.images
    const layers = [base, [{ name: 'top', content: 'top' }]]
    const image = buildImage({ layers, compression, config: { Cmd: ['sh'] } })
    const digest = 'docker.io/library/a@sha256:1'
    const id = await store.add(imageSource(image, { tags: [tag('a')], digests: [digest] }), never)
    expect(id).toBe(image.id)
    expect(store.list()).toEqual([store.find(id)])
    expect(store.find(tag('a'))).toMatchObject({ id, config: { cmd: ['sh'] }, pinned: false })
    expect(store.find(digest)?.id).toBe(id)
    expect(store.configOf(id)).toEqual(image.config.bytes)
    expect(store.configOf('sha256:0')).toBeUndefined()
    expect(store.find(id.slice(7, 12))?.id).toBe(id)
    expect(store.find(id.slice(0, 12))?.id).toBe(id)
    expect(store.find('a')).toBeUndefined()
    const blobs = [image.config, ...image.layers]
    expect(store.find(id)?.sizeBytes).toBe(blobs.reduce((sum, { bytes }) => sum + bytes.length, 0))
    expect(here(lab.root).layers).toEqual(['1', '2'])
    expect(readFileSync(join(lab.root, 'layers/1/etc/base'), 'utf8')).toBe('base')
    expect(await store.usage()).toMatchObject({ images: { usedInodes: 7 } })
  })

  test('is here after the store is opened again', async () => {
    await using lab = openImageLab()
    await lab.images.store.add(imageSource(one, { tags: [tag('a')] }), never)
    const before = lab.images.store.list()
    await lab.reopen()
    expect(lab.images.store.list()).toEqual(before)
  })

  test('is stored once under all its names, which move with the last image that has them', async () => {
    await using lab = openImageLab()
    const { store } = lab.images
    await store.add(imageSource(one, { tags: [tag('a')] }), never)
    const id = await store.add(imageSource(one, { tags: [tag('b')] }), never)
    expect(store.find(id)?.tags).toEqual([tag('a'), tag('b')])
    await store.add(imageSource(two, { tags: [tag('a')] }), never)
    expect(store.find(id)?.tags).toEqual([tag('b')])
    expect(store.find(tag('a'))?.id).toBe(two.id)
  })
})

describe('an image', () => {
  test('goes with all its names and what only it had', async () => {
    await using lab = openImageLab()
    const { store } = lab.images
    await store.add(imageSource(one, { tags: [tag('a'), tag('b')] }), never)
    await store.add(imageSource(two, { tags: [tag('c')] }), never)
    await store.remove(tag('a'))
    await store.remove(tag('a'))
    expect(store.list().map(({ id }) => id)).toEqual([two.id])
    await lab.images.settled()
    expect(here(lab.root)).toEqual({ layers: ['1', '3'], trash: [] })
    await store.remove(two.id)
    await lab.images.settled()
    expect(here(lab.root)).toEqual({ layers: [], trash: [] })
  })

  test('may have no layers, and one layer twice', async () => {
    await using lab = openImageLab()
    const { store } = lab.images
    const none = buildImage({ layers: [] })
    const twice = buildImage({ layers: [base, [{ name: 'x' }], base] })
    expect(await store.add(imageSource(none), never)).toBe(none.id)
    expect(await store.add(imageSource(twice), never)).toBe(twice.id)
    expect(store.find(twice.id)?.diffIds).toEqual(twice.layers.map(({ diffId }) => diffId))
    expect(here(lab.root).layers).toHaveLength(2)
  })

  test('is pinned when the configuration says so', async () => {
    await using lab = openImageLab({ isPinned: (names) => names.includes(tag('pause')) })
    await lab.images.store.add(imageSource(one, { tags: [tag('pause')] }), never)
    expect(lab.images.store.list()).toMatchObject([{ pinned: true }])
  })
})

test('a prefix that several ids have is an error, one of two digits names nothing', async () => {
  await using lab = openImageLab()
  const { store } = lab.images
  const byPrefix = new Map<string, string>()
  for (let index = 0; ; index += 1) {
    const image = buildImage({ layers: [], config: { User: `${index}` } })
    const prefix = image.id.slice(7, 10)
    await store.add(imageSource(image), never)
    if (byPrefix.has(prefix)) {
      expect(() => store.find(prefix)).toThrow(/is ambiguous, 2 begin with it/)
      expect(store.find(prefix.slice(0, 2))).toBeUndefined()
      break
    }
    byPrefix.set(prefix, image.id)
  }
})

describe('a compressed layer', () => {
  const halves = (tar: Buffer): readonly [Buffer, Buffer] => [tar.subarray(0, 700), tar.subarray(700)]
  test.for<[string, (tar: Buffer) => Buffer]>([
    ['of two gzip members', (tar) => Buffer.concat(halves(tar).map((half) => gzipSync(half)))],
    ['of two zstd frames', (tar) => Buffer.concat(halves(tar).map((half) => zstdCompressSync(half)))],
    [
      'of zstd with a frame to skip',
      (tar) => Buffer.concat([zstdCompressSync(tar), Buffer.from('502a4d1803000000616263', 'hex')]),
    ],
  ])('%s is read whole', async ([, compress]) => {
    await using lab = openImageLab()
    const image = buildImage({ layers: [base] })
    const [layer] = image.layers
    const blob = blobOf(layer?.mediaType ?? '', compress(layer?.tar ?? Buffer.alloc(0)))
    const source = imageSource({ ...image, layers: image.layers.map((known) => ({ ...known, ...blob })) })
    await lab.images.store.add(source, never)
    expect(readFileSync(join(lab.root, 'layers/1/etc/base'), 'utf8')).toBe('base')
  })
})
