import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { until } from '#test/e2e/until.ts'
import { buildImage } from '#test/fixtures/image.ts'
import { base, here, type ImageLab, never, one, openImageLab, tag, two } from '#test/fixtures/image-lab.ts'
import { imageSource } from '#test/fixtures/image-sources.ts'

async function filled(): Promise<ImageLab> {
  const lab = openImageLab()
  await lab.images.store.add(imageSource(one, { tags: [tag('one')] }), never)
  await lab.images.store.add(imageSource(two, { tags: [tag('two')] }), never)
  return lab
}
const diffIdOf = (image: typeof one, layer: number): string => image.layers[layer]?.diffId ?? ''

describe('the owners of the disk', () => {
  test('are named for every byte that du counts', async () => {
    await using lab = await filled()
    const root = await lab.images.rootfs.mount('c', one.id)
    writeFileSync(join(root, 'written'), Buffer.alloc(1 << 20))
    mkdirSync(join(root, 'volume'))
    await lab.images.rootfs.makeVolume('c', 0, '/volume')
    writeFileSync(join(lab.root, 'mine.txt'), 'x')
    mkdirSync(join(lab.root, 'lost+found'))
    const { owners, totals, isWhole } = await lab.images.upkeep.usage()
    const du = (...flags: string[]): number =>
      Number(execFileSync('du', ['-s', ...flags, lab.root], { encoding: 'utf8' }).split('\t')[0])
    expect(totals).toEqual([{ path: lab.root, usedBytes: du('--block-size=1'), usedInodes: du('--inodes') }])
    const sum = owners.reduce((total, { usedBytes }) => total + usedBytes, 0)
    expect([sum, isWhole]).toEqual([totals[0]?.usedBytes, true])
    const kinds = owners.map(({ kind, names }) => [kind, ...names])
    for (const owner of [
      ['image', tag('one')],
      ['image', tag('two')],
      ['shared', tag('one'), tag('two')],
      ['container', 'c'],
      ['volumes', 'c'],
      ['databases'],
      ['unowned', join(lab.root, 'mine.txt')],
    ]) {
      expect(kinds).toContainEqual(owner)
    }
    expect(kinds.filter(([kind]) => kind === 'unowned')).toHaveLength(1)
    const written = owners.find(({ kind }) => kind === 'container')
    expect(written?.usedBytes).toBeGreaterThan(1 << 20)
  })

  test('of layers whose image was removed are the containers', async () => {
    await using lab = await filled()
    await lab.images.rootfs.mount('c', one.id)
    await lab.images.store.remove(one.id)
    const { owners } = await lab.images.upkeep.usage()
    expect(owners).toContainEqual(expect.objectContaining({ kind: 'held', names: ['c'] }))
  })
})

const check = (lab: ImageLab, repair = false) => lab.images.upkeep.check({ repair, deep: true }, never)

describe('a check', () => {
  test('of a sound store finds nothing', async () => {
    await using lab = await filled()
    expect(await check(lab)).toEqual({ problems: [], layers: 3, images: 2, unverified: [] })
  })

  test.for<[string, (layers: string) => void, RegExp]>([
    ['a file that is longer', (layers) => appendFileSync(join(layers, '2/one'), 'x'), /one .*has 2 bytes/],
    ['a file with other content', (layers) => writeFileSync(join(layers, '2/one'), '2'), /tar of the digest/],
    [
      'a file with another mode',
      (layers) => chmodSync(join(layers, '2/one'), 0o4755),
      /one .*has the mode 04755/,
    ],
    ['a file that is gone', (layers) => rmSync(join(layers, '2/one')), /one .*is gone/],
    ['a layer that is gone', (layers) => rmSync(join(layers, '2'), { recursive: true }), /layers\/2 is gone/],
  ])('finds %s, and repairs the store by dropping its image', async ([, damage, what]) => {
    await using lab = await filled()
    damage(join(lab.root, 'layers'))
    const problem = { subject: `layer ${diffIdOf(one, 1)}`, images: [tag('one')], containers: [] }
    const found = await check(lab)
    expect(found.problems).toEqual([
      { ...problem, what: expect.stringMatching(what) as string, repaired: false, checked: true },
    ])
    expect(lab.images.store.list()).toHaveLength(2)
    expect((await check(lab, true)).problems).toMatchObject([{ ...problem, repaired: true }])
    expect(lab.images.store.list().map(({ id }) => id)).toEqual([two.id])
    expect((await check(lab)).problems).toEqual([])
    await lab.images.settled()
    expect(here(lab.root)).toEqual({ layers: ['1', '3'], trash: [] })
    await lab.images.store.add(imageSource(one, { tags: [tag('one')] }), never)
    expect((await check(lab)).problems).toEqual([])
  })

  test('leaves a broken layer that a container is made of, and names it', async () => {
    await using lab = await filled()
    await lab.images.rootfs.mount('c', one.id)
    rmSync(join(lab.root, 'layers/2/one'))
    expect((await check(lab, true)).problems).toMatchObject([{ containers: ['c'], repaired: false }])
    expect(lab.images.store.list()).toHaveLength(2)
    await lab.images.rootfs.remove('c')
    expect((await check(lab, true)).problems).toMatchObject([{ containers: [], repaired: true }])
  })
})

describe('a check of a store in use', () => {
  test('takes nothing of what it cannot read, and says so', async () => {
    await using lab = await filled()
    // Its read fails.
    rmSync(join(lab.root, 'layers/2.headers'))
    mkdirSync(join(lab.root, 'layers/2.headers'))
    const what = expect.stringMatching(/^it could not be checked: EISDIR/) as string
    const unread = { subject: `layer ${diffIdOf(one, 1)}`, images: [tag('one')], containers: [], what }
    expect((await check(lab, true)).problems).toEqual([{ ...unread, repaired: false, checked: false }])
    expect(lab.images.store.list()).toHaveLength(2)
    expect(readFileSync(join(lab.root, 'layers/2/one'), 'utf8')).toBe('1')
  })

  test('finds what no record owns, and takes it away', async () => {
    await using lab = await filled()
    const paths = ['layers/tmp-x', 'layers/9', 'rootfs/gone'].map((path) => join(lab.root, path))
    for (const path of paths) mkdirSync(path)
    const { problems } = await check(lab, true)
    expect(problems.map(({ subject, repaired }) => [subject, repaired]).toSorted()).toEqual(
      paths.map((path) => [path, true]).toSorted(),
    )
    expect((await check(lab)).problems).toEqual([])
  })

  test('tells of layers of which nothing was written down', async () => {
    await using lab = await filled()
    rmSync(join(lab.root, 'layers/1.headers'))
    expect(await check(lab)).toMatchObject({ problems: [], unverified: [diffIdOf(one, 0)] })
  })

  test('takes nothing of what is being added', async () => {
    await using lab = await filled()
    const { promise: checked, resolve } = Promise.withResolvers<void>()
    const image = buildImage({ layers: [base, [{ name: 'new', content: 'new' }]] })
    const source = imageSource(image, {
      async open(_index, _signal, bytes) {
        await checked
        return (async function* () {
          yield bytes
        })()
      },
    })
    const adding = lab.images.store.add(source, never)
    expect((await check(lab, true)).problems).toEqual([])
    resolve()
    expect(await adding).toBe(image.id)
    expect(readFileSync(join(await lab.images.rootfs.mount('c', image.id), 'new'), 'utf8')).toBe('new')
  })

  test('finds nothing wrong with what is being given up', async () => {
    await using lab = openImageLab()
    const giveUp = new AbortController()
    const source = imageSource(one, {
      open: async (_index, signal, bytes) =>
        (async function* () {
          yield bytes.subarray(0, 100)
          await once(signal, 'abort')
        })(),
    })
    const adding = lab.images.store.add(source, giveUp.signal)
    adding.catch(() => {})
    await until('it is being unpacked', () => here(lab.root).layers.some((name) => name.startsWith('tmp-')))
    giveUp.abort()
    for (let turn = 0; turn < 50; turn += 1) await Promise.resolve() // It has been told, and the thread has not answered yet.
    expect((await lab.images.upkeep.check({ repair: true, deep: false }, never)).problems).toEqual([])
    await expect(adding).rejects.toThrow('aborted')
  })
})

describe('pruning', () => {
  test('takes images that no container is made of, but for pinned ones, and says before what would go', async () => {
    await using lab = openImageLab({ isPinned: (names) => names.includes(tag('pinned')) })
    const { store, rootfs, upkeep } = lab.images
    const pinned = buildImage({ layers: [base], config: { User: 'pinned' } })
    const free = buildImage({ layers: [base, [{ name: 'free', content: Buffer.alloc(9000) }]] })
    await store.add(imageSource(one, { tags: [tag('used')] }), never)
    await store.add(imageSource(pinned, { tags: [tag('pinned')] }), never)
    await store.add(imageSource(free, { tags: [tag('free')] }), never)
    await rootfs.mount('c', one.id)
    const expected = { images: [tag('free')], layers: [diffIdOf(free, 1)], trash: 0 }
    expect(await upkeep.prune({ all: false, dryRun: false })).toMatchObject({ images: [], layers: [] })
    expect(await upkeep.prune({ all: true, dryRun: true })).toMatchObject(expected)
    expect(store.list()).toHaveLength(3)
    const { freedBytes } = await upkeep.prune({ all: true, dryRun: false })
    expect(freedBytes).toBeGreaterThan(9000)
    expect(store.list().map(({ tags }) => tags)).toEqual([[tag('used')], [tag('pinned')]])
    expect(here(lab.root)).toEqual({ layers: ['1', '2'], trash: [] })
  })

  test('leaves an image that came to be used while the trash was measured', async () => {
    await using lab = await filled()
    mkdirSync(join(lab.root, 'trash/0123456789abcdef'))
    const pruning = lab.images.upkeep.prune({ all: true, dryRun: false })
    const id = await lab.images.store.add(imageSource(one), never)
    await lab.images.rootfs.mount('c', id)
    expect(await pruning).toMatchObject({ images: [tag('two')], layers: [diffIdOf(two, 1)], trash: 1 })
    expect(lab.images.store.list().map(({ tags }) => tags)).toEqual([[tag('one')]])
  })

  test('deletes what an earlier removal left', async () => {
    await using lab = await filled()
    mkdirSync(join(lab.root, 'trash/0123456789abcdef'))
    writeFileSync(join(lab.root, 'trash/import-x'), '')
    expect(await lab.images.upkeep.prune({ all: false, dryRun: false })).toMatchObject({ trash: 1 })
    expect(here(lab.root).trash).toEqual(['import-x'])
  })
})
