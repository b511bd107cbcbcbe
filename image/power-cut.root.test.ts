import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { syncFilesystem } from '#linux/sync.ts'
import { openImageRecords } from '#store/image-records.ts'
import { buildImage } from '#test/fixtures/image.ts'
import { here, type ImageLab, never, openLabAt } from '#test/fixtures/image-lab.ts'
import { imageSource } from '#test/fixtures/image-sources.ts'
import { type DiskRecording, diskAfterCut, mountDisk, recordDisk } from '#test/fixtures/recorded-disk.ts'
import type { LayerFormat } from './layer-format.ts'

const isFull = process.env['CRI_TS_FULL'] !== undefined
const cuts = { overlay: isFull ? 150 : 10, erofs: isFull ? 150 : 5 }

/** Files of all sizes, of bytes that tell where they belong. */
const layer = (name: string, count: number) =>
  Array.from({ length: count }, (_, index) => {
    const content = Buffer.alloc(1 + ((index * 7919) % 40_000), `${name}/${index} `)
    return { name: `${name}/${index}`, content }
  })
const shared = layer('shared', 40)
const first = buildImage({ layers: [shared, layer('first', 60), layer('top', 5)], compression: 'plain' })
const second = buildImage({ layers: [shared, layer('second', 60)], compression: 'plain' })

/** Numbers from 0 to 1 that are the same in each run (mulberry32). */
function randoms(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

interface Change {
  readonly id: string
  readonly isThere: boolean
  readonly begins: number
  readonly ends: number
}

/** Pulls and removals in a store of that format, and what its disk got. */
async function record(format: LayerFormat): Promise<readonly [DiskRecording, readonly Change[]]> {
  const changes: Change[] = []
  const recording = await recordDisk(async (directory, now) => {
    const random = randoms(1)
    await using lab = openLabAt(directory, { format })
    const change = async (id: string, isThere: boolean, work: () => Promise<unknown>): Promise<void> => {
      const begins = now()
      await work()
      changes.push({ id, isThere, begins, ends: now() })
    }
    /** As the kernel does whenever it likes, what was written so far goes to the disk at some moments. */
    const source = (image: typeof first) =>
      imageSource(image, {
        async open(_index, _signal, bytes) {
          return (async function* () {
            for (let at = 0; at < bytes.length; at += 50_000) {
              if (random() < 0.15) await syncFilesystem(directory)
              yield bytes.subarray(at, at + 50_000)
            }
          })()
        },
      })
    const { store } = lab.images
    await change(first.id, true, () => store.add(source(first), never))
    await change(second.id, true, () => store.add(source(second), never))
    await change(first.id, false, async () => {
      await store.remove(first.id)
    })
    await lab.images.settled()
    await change(second.id, false, () => store.remove(second.id))
    await change(first.id, true, () => store.add(source(first), never))
  })
  return [recording, changes]
}

/** What must be listed after a cut, and what may be, since its change was on its way. */
function expectedAt(changes: readonly Change[], point: number) {
  const must = new Set<string>()
  const may = new Set<string>()
  for (const { id, isThere, begins, ends } of changes) {
    if (begins >= point) break
    if (ends > point) may.add(id)
    if (ends <= point && isThere) must.add(id)
    else must.delete(id)
  }
  return { must, may: may.union(must) }
}

async function expectWhole(lab: ImageLab, { must, may }: ReturnType<typeof expectedAt>): Promise<void> {
  const { store, upkeep } = lab.images
  const listed = new Set(store.list().map(({ id }) => id))
  expect([...must.difference(listed), ...listed.difference(may)]).toEqual([])
  const { problems, unverified } = await upkeep.check({ repair: false, deep: true }, never)
  expect([problems, unverified]).toEqual([[], []])
  await lab.images.settled()
  const layers = new Set([first, second].filter(({ id }) => listed.has(id)).flatMap((each) => each.layers))
  expect(here(lab.root).trash).toEqual([])
  expect(here(lab.root).layers).toHaveLength(new Set([...layers].map(({ diffId }) => diffId)).size)
  expect(await store.add(imageSource(first), never)).toBe(first.id)
}

describe.for(['overlay', 'erofs'] as const)('a store in the format %s', (format) => {
  let recording: DiskRecording
  let changes: readonly Change[]
  beforeAll(async () => {
    ;[recording, changes] = await record(format)
  }, 60_000)

  test.for(Array.from({ length: cuts[format] }, (_, index) => index))(
    'after power cut %i what is listed is whole, and nothing half made is left',
    async (seed) => {
      const random = randoms(seed + 100)
      const { begins, ends } = changes[seed % changes.length] ?? { begins: 0, ends: 0 }
      const point = begins + Math.floor(random() * (ends - begins + 1))
      const keeps = [0, 0.5, 1][seed % 3] ?? 1
      const disk = diskAfterCut(recording, point, () => random() < keeps)
      await mountDisk(disk, async (directory) => {
        await using lab = openLabAt(directory, { format })
        await expectWhole(lab, expectedAt(changes, point))
      })
    },
  )
})

test('what was renamed and written down before it was synced is lost by such a cut: the test would see it', async () => {
  const careless = await recordDisk(async (directory) => {
    const layers = join(directory, 'layers')
    mkdirSync(join(layers, 'tmp'), { recursive: true })
    await syncFilesystem(directory)
    writeFileSync(join(layers, 'tmp/file'), 'content')
    renameSync(join(layers, 'tmp'), join(layers, '1'))
    using _records = openImageRecords(join(directory, 'images.db')) // It syncs itself alone.
  })
  const seen = new Set<string>()
  for (const [index, { kind }] of careless.events.entries()) {
    if (kind !== 'flush') continue
    await mountDisk(
      diskAfterCut(careless, index + 1, () => false),
      async (directory) => {
        const file = join(directory, 'layers/1/file')
        if (existsSync(file)) seen.add(readFileSync(file, 'utf8'))
      },
    )
  }
  expect([...seen]).toContain('')
})
