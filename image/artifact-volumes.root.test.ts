import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FakeRegistry } from '#test/fakes/fake-registry.ts'
import { registryOptions } from '#test/fakes/pull-lab.ts'
import { here, type ImageLab, never, openImageLab } from '#test/fixtures/image-lab.ts'
import { tarOf } from '#test/fixtures/tar.ts'
import type { LayerFormat } from './layer-format.ts'
import { hostPlatform } from './platform.ts'
import { imagePuller } from './pull.ts'

const TITLE = 'org.opencontainers.image.title'
const use = { namespace: '', userSpecifiedImage: '' }

let registry: FakeRegistry
let lab: ImageLab
beforeEach(async () => {
  registry = await FakeRegistry.start()
  lab = openImageLab()
})
afterEach(async () => {
  await lab[Symbol.asyncDispose]()
  await registry[Symbol.asyncDispose]()
})

interface Blob {
  readonly content: string | Buffer
  readonly mediaType?: string
  readonly annotations?: { readonly [name: string]: string }
}

const named = (title: string, content: string): Blob => ({ content, annotations: { [TITLE]: title } })

function addArtifact(
  tag: string,
  blobs: readonly Blob[],
  artifactType = 'application/vnd.example.model',
): string {
  const { digest } = registry.addManifest('model', tag, {
    ...{ schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', artifactType },
    config: registry.addBlob(Buffer.from('{}'), 'application/vnd.oci.empty.v1+json'),
    layers: blobs.map(({ content, mediaType = 'text/plain', annotations = {} }) => ({
      ...registry.addBlob(Buffer.from(content), mediaType),
      annotations,
    })),
  })
  return digest
}

function pull(tag: string): Promise<string> {
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const options = registryOptions(lab.root, { nowNs: () => '0' })
  const puller = imagePuller({ store: lab.images.store, platforms: [hostPlatform()], log, registry: options })
  return puller.pull(`${registry.host}/model:${tag}`, undefined, never)
}

const mount = (imageId: string, subPath = '') =>
  lab.images.volumes.mount('c1', { index: 0, imageId, subPath })

test.for<LayerFormat>(['overlay', 'erofs'])(
  'the files of an artifact are those of its titles, in a store of %s',
  async (format) => {
    await lab.reopen({ format })
    const long = `${'directory/'.repeat(15)}file`
    const digest = addArtifact('v1', [
      named('weights.bin', 'w'.repeat(1000)),
      named('conf/settings.json', '{}'),
      named('conf/empty', ''),
      named(long, 'far down'),
      { content: 'does not show', annotations: {} },
    ])
    const id = await pull('v1')
    expect(id).toBe(digest)
    const path = await mount(id)
    expect(readdirSync(path).toSorted()).toEqual(['conf', 'directory', 'weights.bin'])
    expect(readFileSync(join(path, 'weights.bin'), 'utf8')).toBe('w'.repeat(1000))
    expect(readFileSync(join(path, long), 'utf8')).toBe('far down')
    expect(readFileSync(join(path, 'conf/empty'), 'utf8')).toBe('')
    expect(statSync(join(path, 'conf/settings.json')).mode & 0o7777).toBe(0o644)
    expect(() => writeFileSync(join(path, 'new'), '')).toThrow('EROFS')
  },
)

test('a sub path is a directory of it', async () => {
  addArtifact('v1', [named('conf/a', '1'), named('b', '2')])
  expect(readdirSync(await mount(await pull('v1'), 'conf'))).toEqual(['a'])
})

test('what is a tar is unpacked, and what oras only calls one is not', async () => {
  const tar = gzipSync(tarOf([{ name: 'bin/tool', content: '#!', mode: 0o755 }]))
  const oci = 'application/vnd.oci.image.layer.v1.tar'
  addArtifact('v1', [
    { content: tar, mediaType: `${oci}+gzip`, annotations: { [TITLE]: 'tools.tar.gz' } },
    {
      content: tarOf([{ name: 'd/x', content: 'x' }]),
      mediaType: oci,
      annotations: { [TITLE]: 'd', 'io.deis.oras.content.unpack': 'true' },
    },
    { content: 'hello', mediaType: oci, annotations: { [TITLE]: 'hello.txt' } },
  ])
  const path = await mount(await pull('v1'))
  expect(readdirSync(path).toSorted()).toEqual(['bin', 'd', 'hello.txt'])
  expect(readFileSync(join(path, 'bin/tool'), 'utf8')).toBe('#!')
  expect(readFileSync(join(path, 'hello.txt'), 'utf8')).toBe('hello')
})

test('it is listed, kept over a restart, and cannot be run', async () => {
  const digest = addArtifact('v1', [named('a', '1')])
  await pull('v1')
  await lab.reopen()
  const [image] = lab.images.store.list()
  expect(image).toMatchObject({
    id: digest,
    tags: [`${registry.host}/model:v1`],
    digests: [`${registry.host}/model@${digest}`],
    artifactType: 'application/vnd.example.model',
  })
  const { rootfs } = lab.images
  expect(await rootfs.resolve(`${registry.host}/model:v1`, { ...use, as: 'volume' })).toMatchObject({
    isArtifact: true,
  })
  await expect(rootfs.resolve(digest, { ...use, as: 'root' })).rejects.toMatchObject({
    kind: 'failed-precondition',
    message: `image ${digest} is an OCI artifact (application/vnd.example.model), which cannot be run: mount it as an image volume`,
  })
})

test('artifacts share what they have in common, and it goes with the last of them', async () => {
  addArtifact('v1', [named('a', 'same'), named('b', 'one')])
  addArtifact('v2', [named('a', 'same'), named('b', 'two')])
  const ids = [await pull('v1'), await pull('v2')]
  expect(here(lab.root).layers).toHaveLength(3)
  expect(await lab.images.upkeep.check({ deep: true, repair: true }, never)).toMatchObject({
    problems: [],
    layers: 3,
  })
  for (const id of ids) await lab.images.store.remove(id)
  await lab.images.settled()
  expect(here(lab.root).layers).toEqual([])
})

test('a blob that is not what its manifest says is refused, and nothing is left', async () => {
  addArtifact('v1', [named('a', 'right'), named('b', 'other')])
  registry.misbehave(/blobs/, (response) => response.end('wrong'), 10)
  await expect(pull('v1')).rejects.toMatchObject({
    message: expect.stringContaining('could not be had') as string,
  })
  expect(here(lab.root)).toMatchObject({ layers: [] })
})
