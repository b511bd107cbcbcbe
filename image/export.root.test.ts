import { execFileSync } from 'node:child_process'
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type BuiltImage, buildImage, buildLayer } from '#test/fixtures/image.ts'
import { type ImageLab, never, openImageLab, tag } from '#test/fixtures/image-lab.ts'
import { imageSource } from '#test/fixtures/image-sources.ts'
import { readTar } from '#test/fixtures/read-tar.ts'
import { exportImages } from './export.ts'
import { createArchive } from './export-archive.ts'
import { importImages } from './import.ts'
import { headersFileOf } from './layer-headers.ts'
import { packLayer } from './layer-pack.ts'
import { UntarPool } from './untar-pool.ts'

let home: string
let archive: string
beforeEach(() => {
  home = mkdtempSync('/var/lib/cri-ts-export-')
  archive = join(home, 'image.tar')
})
afterEach(() => rmSync(home, { recursive: true }))

const shared = buildLayer([
  { name: 'etc/', type: 'directory' },
  { name: 'etc/base', content: 'base', pax: { 'SCHILY.xattr.user.a': 'b' } },
])
const one = buildImage({
  layers: [
    shared,
    [
      { name: 'etc/twice', content: '1' },
      { name: 'etc/twice', content: '2' },
    ],
  ],
  config: { Cmd: ['sh'] },
})
const two = buildImage({
  layers: [shared, buildLayer([{ name: 'b', content: 'b' }], { compression: 'zstd' })],
})

const add = async (lab: ImageLab, image: BuiltImage, tags: readonly string[]): Promise<string> =>
  await lab.images.store.add(imageSource(image, { tags }), never)

const names = (): readonly string[] => readTar(readFileSync(archive)).map(({ entry }) => entry.name)

describe.for(['oci', 'docker'] as const)('in the format %s', (format) => {
  test.for(['gzip', 'none'] as const)('images are imported as the same ones: %s', async (compression) => {
    await using from = openImageLab()
    await using to = openImageLab()
    await add(from, one, [tag('one'), tag('more')])
    await add(from, two, [tag('two')])
    const options = { format, compression }
    const exported = await from.images.exporter.export([tag('one'), two.id], archive, options, never)
    expect(exported).toMatchObject([
      { id: one.id, tags: [tag('one')] },
      { id: two.id, tags: [tag('two')] },
    ])
    const imported = await importImages(to.images.store, archive, { temporaryDirectory: home }, never)
    expect(imported).toEqual([
      { id: one.id, tags: [tag('one')] },
      { id: two.id, tags: [tag('two')] },
    ])
    expect(readdirSync(home)).toEqual(['image.tar'])
    expect(names().filter((name) => name.endsWith('layer.tar'))).toHaveLength(format === 'docker' ? 3 : 0)
    const root = await to.images.rootfs.mount('c', one.id)
    expect(readFileSync(join(root, 'etc/twice'), 'utf8')).toBe('2')
  })
})

describe('nothing is written, and what was there stays,', () => {
  const options = { format: 'oci', compression: 'gzip' } as const
  const exporting = (lab: ImageLab, references: readonly string[], path = archive) =>
    lab.images.exporter.export(references, path, options, never)

  test.for<[string, (layer: string) => void, string, RegExp]>([
    [
      'when an image is not here',
      () => {},
      'docker.io/library/none:1',
      /^image docker.io\/library\/none:1 is not here/,
    ],
    [
      'when a layer was changed',
      (layer) => writeFileSync(join(layer, 'etc/base'), 'BASE'),
      tag('one'),
      /layer sha256:.* was changed/,
    ],
    [
      'when a file is gone',
      (layer) => rmSync(join(layer, 'etc/base')),
      tag('one'),
      /one:1: layer sha256:\w+ cannot be exported/,
    ],
    [
      'when the layer is of an earlier version',
      (layer) => rmSync(`${layer}.headers`),
      tag('one'),
      /cannot be exported/,
    ],
  ])('%s', async ([, damage, reference, message]) => {
    await using lab = openImageLab()
    await add(lab, one, [tag('one')])
    writeFileSync(archive, 'before')
    damage(join(lab.root, 'layers/1'))
    await expect(exporting(lab, [reference])).rejects.toThrow(message)
    expect(readdirSync(home)).toEqual(['image.tar'])
    expect(readFileSync(archive, 'utf8')).toBe('before')
  })

  test('when it is given up while a layer is packed', async () => {
    await using lab = openImageLab()
    await add(lab, one, [])
    const stop = new AbortController()
    await using pool = new UntarPool()
    const stopped: Pick<UntarPool, 'pack'> = {
      pack(...request) {
        const packed = pool.pack(...request)
        stop.abort()
        return packed
      },
    }
    const layers = [{ diffId: one.layers[0]?.diffId ?? '', directory: join(lab.root, 'layers/1') }]
    const image = { id: one.id, config: Buffer.from('{}'), tags: [], layers }
    const exported = exportImages([image], archive, options, stopped, stop.signal)
    await expect(exported).rejects.toMatchObject({ kind: 'cancelled' })
    expect(readdirSync(home)).toEqual([])
  })

  test('when the directory is not there', async () => {
    await using lab = openImageLab()
    await add(lab, one, [tag('one')])
    await expect(exporting(lab, [tag('one')], join(home, 'no/where.tar'))).rejects.toThrow(
      /archive .*no\/where\.tar cannot be written/,
    )
  })
})

describe('what is no ordinary file', () => {
  test.for<[string, (path: string) => void]>([
    ['a device', (path) => execFileSync('mknod', [path, 'c', '1', '3'])],
    ['a pipe', (path) => execFileSync('mkfifo', [path])],
    ['a directory', (path) => mkdirSync(path)],
    ['a link', (path) => symlinkSync('elsewhere', path)],
  ])('is not replaced: %s', async ([, make]) => {
    await using lab = openImageLab()
    await add(lab, one, [tag('one')])
    writeFileSync(join(home, 'elsewhere'), 'before')
    make(archive)
    const before = lstatSync(archive)
    const options = { format: 'oci', compression: 'none' } as const
    await expect(lab.images.exporter.export([tag('one')], archive, options, never)).rejects.toMatchObject({
      kind: 'failed-precondition',
      message: `archive ${archive} is there and no ordinary file: give another path`,
    })
    expect(lstatSync(archive)).toMatchObject({ ino: before.ino, mode: before.mode })
    expect(readFileSync(join(home, 'elsewhere'), 'utf8')).toBe('before')
    expect(readdirSync(home).toSorted()).toEqual(['elsewhere', 'image.tar'])
  })

  test('is not replaced when it comes while the archive is written', async () => {
    await using written = await createArchive(archive)
    mkdirSync(archive)
    await expect(written.finish()).rejects.toThrow(/is there and no ordinary file/)
  })

  test('is not written to when it is put in the place of the archive that is being written', async () => {
    await using lab = openImageLab()
    await add(lab, one, [tag('one')])
    await using written = await createArchive(archive)
    const victim = join(home, 'victim')
    writeFileSync(victim, 'before')
    const [unfinished = ''] = readdirSync(home).filter((name) => name.startsWith('image.tar.'))
    rmSync(join(home, unfinished))
    symlinkSync(victim, join(home, unfinished))
    const directory = join(lab.root, 'layers/1')
    const { sizeBytes } = await written.place(async (path, offset) => {
      const layer = { directory, headersFile: headersFileOf(directory) }
      return {
        ...(await packLayer(layer, { path, offset, compression: 'none' }, () => false)),
        name: 'layer.tar',
      }
    })
    expect(sizeBytes).toBeGreaterThan(0)
    expect(readFileSync(victim, 'utf8')).toBe('before')
  })
})

test('an image that is removed meanwhile keeps its layers until it is exported', async () => {
  await using lab = openImageLab()
  await add(lab, one, [tag('one')])
  const exported = lab.images.exporter.export(
    [tag('one')],
    archive,
    { format: 'oci', compression: 'none' },
    never,
  )
  await lab.images.store.remove(one.id)
  expect(await exported).toHaveLength(1)
  expect(names()).toContain('index.json')
})
