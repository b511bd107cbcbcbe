import { describe, expect, test } from 'vitest'
import { buildImage } from '#test/fixtures/image.ts'
import { base, here, never, one, openImageLab, tag, two } from '#test/fixtures/image-lab.ts'
import { imageSource, pieces } from '#test/fixtures/image-sources.ts'
import { tarOf } from '#test/fixtures/tar.ts'

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
    ['a bomb', bomb, pieces, /larger than 1048576 bytes, which image.max_layer_size allows/],
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
