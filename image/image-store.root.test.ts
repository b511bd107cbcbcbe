import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { runCommand } from '#linux/command.ts'
import { ProcessWatcher } from '#linux/process-watcher.ts'
import { crashImage, crashTag } from '#test/fixtures/add-image.ts'
import { blobOf, buildImage } from '#test/fixtures/image.ts'
import { openImageLab } from '#test/fixtures/image-lab.ts'
import { imageSource, pieces } from '#test/fixtures/image-sources.ts'
import { type TarFile, tarOf } from '#test/fixtures/tar.ts'

const never = new AbortController().signal
const base: readonly TarFile[] = [
  { name: 'etc/', type: 'directory' },
  { name: 'etc/base', content: 'base' },
]
const one = buildImage({ layers: [base, [{ name: 'one', content: '1' }]] })
const two = buildImage({ layers: [base, [{ name: 'two', content: '2' }]] })
const tag = (name: string): string => `docker.io/library/${name}:1`

const here = (root: string) => ({
  layers: readdirSync(join(root, 'layers')),
  trash: readdirSync(join(root, 'trash')),
})

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
    expect(store.find(id.slice(7, 12))?.id).toBe(id)
    expect(store.find(id.slice(0, 12))?.id).toBe(id)
    expect(store.find('a')).toBeUndefined()
    const blobs = [image.config, ...image.layers]
    expect(store.find(id)?.sizeBytes).toBe(blobs.reduce((sum, { bytes }) => sum + bytes.length, 0))
    expect(here(lab.root).layers).toEqual(['1', '2'])
    expect(readFileSync(join(lab.root, 'layers/1/etc/base'), 'utf8')).toBe('base')
    expect(await store.usage()).toMatchObject({ usedInodes: 5 })
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

describe('what cannot be added leaves nothing', () => {
  const bomb = buildImage({ layers: [base, tarOf([{ name: 'zeros', content: Buffer.alloc(3 << 20) }])] })
  const hostile = buildImage({ layers: [base, [{ name: '../../x', content: 'x' }]] })
  const noTar = buildImage({ layers: [base, Buffer.from('no tar at all '.repeat(100))] })

  test.for<[string, typeof one, (bytes: Buffer) => AsyncIterable<Uint8Array> | Error, RegExp]>([
    ['a fetch that fails', one, () => new Error('connection refused'), /connection refused/],
    ['a fetch that breaks off', one, breaking, /connection reset/],
    ['a layer that is cut', one, (bytes) => pieces(bytes.subarray(0, -9)), /unexpected end of file/],
    [
      'a wrong digest',
      two,
      () => pieces(one.layers[1]?.bytes ?? Buffer.alloc(0)),
      /has the digest sha256.* should be/,
    ],
    ['no layer at all', one, () => pieces(Buffer.alloc(0)), /blob has the digest .*0 bytes/],
    ['damaged bytes', one, (bytes) => pieces(bytes.fill(0, 12, 20)), /blob cannot be decompressed/],
    ['a layer that leads out', hostile, pieces, /leads out of the layer/],
    ['a layer that is no tar', noTar, pieces, /broken tar header/],
    ['a bomb', bomb, pieces, /larger than 1048576 bytes/],
  ])('%s', async ([, image, open, message]) => {
    await using lab = openImageLab({ limits: { sizeBytes: 1 << 20, entries: 1000 } })
    const { store } = lab.images
    const source = imageSource(image, {
      tags: [tag('a')],
      open: async (index, _signal, bytes) => {
        if (index === 0) return pieces(bytes)
        const opened = open(Buffer.from(bytes))
        if (opened instanceof Error) throw opened
        return opened
      },
    })
    const failure: unknown = await store.add(source, never).catch((error: unknown) => error)
    expect(failure).toMatchObject({
      name: 'CriError',
      message: expect.stringContaining(`image ${tag('a')}: layer sha256:`),
    })
    expect(String((failure as Error).cause)).toMatch(message)
    expect(store.list()).toEqual([])
    await lab.images.settled()
    expect(here(lab.root)).toEqual({ layers: [], trash: [] })
    await store.add(imageSource(two), never)
    expect(store.find(two.id)).toBeDefined()
  })
})

describe('what does not begin or end well leaves nothing', () => {
  test.for<[string, (source: ReturnType<typeof imageSource>) => object, RegExp]>([
    ['a layer too few', (source) => ({ layers: source.layers.slice(1) }), /has 1 layers, its config names 2/],
    [
      'layers in another order',
      (source) => ({ layers: source.layers.toReversed() }),
      /layer 0 is not the one/,
    ],
    ['a config that is none', () => ({ config: Buffer.from('{}') }), /is not an image's/],
  ])('%s', async ([, change, message]) => {
    await using lab = openImageLab()
    const source = imageSource(one)
    await expect(lab.images.store.add({ ...source, ...change(source) }, never)).rejects.toThrow(message)
    expect(here(lab.root)).toEqual({ layers: [], trash: [] })
  })

  test('one that is cancelled while its layers come', async () => {
    await using lab = openImageLab()
    const stop = new AbortController()
    const source = imageSource(one, { open: async (_index, signal) => hanging(signal, () => stop.abort()) })
    await expect(lab.images.store.add(source, stop.signal)).rejects.toThrow(/abort/)
    await lab.images.settled()
    expect(here(lab.root)).toEqual({ layers: [], trash: [] })
  })

  test.for(['sync', 'rename', 'commit'])('a commit that fails at its step %s', async (failing) => {
    const atStep = (step: string): void => {
      if (step === failing) throw new Error('no space')
    }
    await using lab = openImageLab({ atStep })
    await expect(lab.images.store.add(imageSource(one), never)).rejects.toThrow('no space')
    await lab.images.settled()
    expect(lab.images.store.list()).toEqual([])
    expect(here(lab.root)).toEqual({ layers: [], trash: [] })
  })
})

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

describe('after a crash', () => {
  test.for(['sync', 'rename', 'commit', 'committed', 'discard'])(
    'before the step %s all is whole or gone',
    async (step) => {
      await using lab = openImageLab()
      await using watcher = new ProcessWatcher()
      const script = fileURLToPath(new URL('../test/fixtures/add-image.ts', import.meta.url))
      mkdirSync(lab.root, { recursive: true })
      const killed = await runCommand(watcher, {
        argv: [process.execPath, script, lab.root, step],
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
    },
  )

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

async function* breaking(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes.subarray(0, 50)
  throw new Error('connection reset')
}

/** A network that says nothing until it is given up. */
async function* hanging(signal: AbortSignal, begun: () => void): AsyncGenerator<Uint8Array> {
  yield Buffer.from([0x1f, 0x8b, 8])
  begun()
  await new Promise((_resolve, reject) =>
    signal.addEventListener('abort', () => reject(new Error('given up'))),
  )
}
