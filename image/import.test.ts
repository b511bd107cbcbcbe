import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FakeImageStore } from '#test/fakes/fake-image-store.ts'
import { buildImage, hostArchitecture } from '#test/fixtures/image.ts'
import { dockerFiles, ociFiles } from '#test/fixtures/image-archive.ts'
import { packTar } from '#test/fixtures/pack-tar.ts'
import { tarOf } from '#test/fixtures/tar.ts'
import { type ImportOptions, importImages } from './import.ts'

const never = new AbortController().signal
const otherArchitecture = hostArchitecture === 'arm64' ? 'amd64' : 'arm64'
const image = buildImage({ layers: [[{ name: 'a', content: 'a' }], [{ name: 'b', content: 'b' }]] })
const foreign = buildImage({ layers: [[{ name: 'a', content: 'foreign' }]], architecture: otherArchitecture })

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'import-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

function importing(archive: Buffer, options: Partial<ImportOptions> = {}) {
  const store = new FakeImageStore()
  const path = join(directory, 'image.tar')
  writeFileSync(path, archive)
  const imported = importImages(store, path, { temporaryDirectory: directory, ...options }, never)
  return { store, imported }
}

const same = (archive: Buffer): Buffer => archive

test.for([
  ['plain', same],
  ['gzip', gzipSync],
  ['zstd', zstdCompressSync],
] as const)('a docker archive is imported under its tags: %s', async ([, compress]) => {
  const { store, imported } = importing(
    compress(await packTar(dockerFiles(image, ['busybox', 'example.com/b:2']))),
  )
  const tags = ['docker.io/library/busybox:latest', 'example.com/b:2']
  expect(await imported).toEqual([{ id: image.id, tags }])
  expect(store.find('example.com/b:2')).toMatchObject({ id: image.id, tags })
  expect(readdirSync(directory)).toEqual(['image.tar'])
})

test.for([
  ['org.opencontainers.image.ref.name', 'busybox:1'],
  ['io.containerd.image.name', 'docker.io/library/busybox:1'],
] as const)('an OCI layout is imported under its annotation %s', async ([annotation, name]) => {
  const { store, imported } = importing(await packTar(ociFiles([image], { name, annotation })))
  expect(await imported).toEqual([{ id: image.id, tags: ['docker.io/library/busybox:1'] }])
  expect(store.find(image.id)).toMatchObject({
    digests: [`docker.io/library/busybox@${image.manifest.digest}`],
    manifestDigest: image.manifest.digest,
  })
})

test('a tag alone names nothing: the image has its id only', async () => {
  const { imported } = importing(await packTar(ociFiles([image], { name: 'latest' })))
  expect(await imported).toEqual([{ id: image.id, tags: [] }])
})

test('of an index the image for this machine is taken', async () => {
  const { imported } = importing(await packTar(ociFiles([foreign, image], { name: 'x:1' })))
  expect(await imported).toEqual([{ id: image.id, tags: ['docker.io/library/x:1'] }])
})

test('a name that is asked for takes the place of the names in the archive', async () => {
  const { imported } = importing(await packTar(dockerFiles(image, ['a', 'b'])), { name: 'mine' })
  expect(await imported).toEqual([{ id: image.id, tags: ['docker.io/library/mine:latest'] }])
})

test('a layer that is compressed inside a docker archive is imported', async () => {
  const [layer] = image.layers
  const one = buildImage({ layers: [layer?.tar ?? Buffer.alloc(0)] })
  const archive = await packTar([
    { name: 'config.json', content: one.config.bytes },
    { name: 'layer.tar.gz', content: one.layers[0]?.bytes ?? '' },
    { name: './same/layer.tar', type: 'symlink', linkName: '../layer.tar.gz' },
    {
      name: 'manifest.json',
      content: JSON.stringify([{ Config: 'config.json', RepoTags: null, Layers: ['same/layer.tar'] }]),
    },
  ])
  expect(await importing(archive).imported).toEqual([{ id: one.id, tags: [] }])
})

const without = (archive: Buffer, name: string): Buffer => {
  const at = archive.indexOf(name)
  const copy = Buffer.from(archive)
  copy.write('gone', at)
  copy.fill(' ', at + 148, at + 156)
  const sum = copy.subarray(at, at + 512).reduce((total, byte) => total + byte, 0)
  copy.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1')
  return copy
}
const damaged = (archive: Buffer, text: string): Buffer => {
  const copy = Buffer.from(archive)
  copy.write(text.toUpperCase(), copy.indexOf(text))
  return copy
}
const oci = await packTar(ociFiles([image], { name: 'x:1' }))
const blob = (digest: string): string => `blobs/${digest.replace(':', '/')}`

test.for<[string, Buffer, RegExp]>([
  ['text', Buffer.from('this is no archive '.repeat(100)), /image\.tar is not an image archive/],
  ['nothing', Buffer.alloc(0), /holds no image: it has neither index.json/],
  ['another tar', await packTar([{ name: 'x', content: 'x' }]), /holds no image: it has neither index.json/],
  ['a cut one', oci.subarray(0, 1600), /is not an image archive/],
  ['a broken gzip', gzipSync(oci).subarray(0, 300), /cannot be decompressed/],
  ['no layer', without(oci, blob(image.layers[0]?.digest ?? '')), /lacks blobs\/sha256/],
  ['no manifest', without(oci, blob(image.manifest.digest)), /lacks blobs\/sha256/],
  ['a damaged config', damaged(oci, '"rootfs"'), /has the digest sha256:.* it was damaged/],
  [
    'another platform',
    await packTar(ociFiles([foreign])),
    new RegExp(`no image for linux/.* for linux/${otherArchitecture}`),
  ],
  [
    'another platform in docker',
    await packTar(dockerFiles(foreign, [])),
    new RegExp(`is for linux/${otherArchitecture}`),
  ],
])('an archive with %s is refused by name', async ([, archive, message]) => {
  await expect(importing(archive).imported).rejects.toThrow(message)
  expect(readdirSync(directory)).toEqual(['image.tar'])
})

test('a digest among the names of a docker archive names nothing: nobody has verified it', async () => {
  const forged = `registry.k8s.io/pause@sha256:${'a'.repeat(64)}`
  const { store, imported } = importing(await packTar(dockerFiles(image, [forged, 'b:2'])))
  expect(await imported).toEqual([{ id: image.id, tags: ['docker.io/library/b:2'] }])
  expect(store.find(forged)).toBeUndefined()
})

test('what describes the images of an archive is read up to a bound', async () => {
  const config = JSON.stringify({ rootfs: { diff_ids: [] }, comment: 'x'.repeat(4 << 20) })
  const one = { Config: 'c', RepoTags: null, Layers: null }
  const archive = await packTar([
    { name: 'c', content: config },
    { name: 'manifest.json', content: JSON.stringify(Array.from({ length: 20 }, () => one)) },
  ])
  await expect(importing(archive).imported).rejects.toThrow(/describes its images in more than 64 MiB/)
})

test('an image of more layers than can be is refused before they are looked at', async () => {
  const Layers = Array.from({ length: 1001 }, () => 'l')
  const archive = await packTar([
    { name: 'manifest.json', content: JSON.stringify([{ Config: 'c', RepoTags: null, Layers }]) },
  ])
  await expect(importing(archive).imported).rejects.toThrow(/manifest\.json in .* is not docker save's/)
})

test('the names of the files in an archive are bounded', { timeout: 30_000 }, () => {
  const files = Array.from({ length: 4500 }, (_, index) => ({ name: `${index}/${'x/'.repeat(1900)}f` }))
  return expect(importing(tarOf(files)).imported).rejects.toMatchObject({
    cause: { message: 'the names in it take more than 16 MiB' },
  })
})

test('what is no ordinary file is refused by name', async () => {
  for (const path of [directory, '/dev/zero']) {
    const imported = importImages(new FakeImageStore(), path, { temporaryDirectory: directory }, never)
    await expect(imported).rejects.toMatchObject({
      kind: 'invalid-argument',
      message: `archive ${path} is no ordinary file: give the path of a tar`,
    })
  }
})

test('an archive that is not there is refused by name', async () => {
  const options = { temporaryDirectory: directory }
  const imported = importImages(new FakeImageStore(), join(directory, 'none.tar'), options, never)
  await expect(imported).rejects.toThrow(/none\.tar cannot be opened/)
})
