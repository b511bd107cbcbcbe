import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CriError } from '#lib/errors.ts'
import { parseManifest } from './manifest.ts'

const digest = `sha256:${'a'.repeat(64)}`
const blob = (mediaType: string, size = 7) => ({ mediaType, digest, size })
const ociConfig = blob('application/vnd.oci.image.config.v1+json')
const dockerConfig = blob('application/vnd.docker.container.image.v1+json')
const parse = (json: unknown, mediaType = '') => parseManifest(Buffer.from(JSON.stringify(json)), mediaType)
const image = (...layerTypes: string[]) => ({
  config: ociConfig,
  layers: layerTypes.map((type) => blob(type)),
})

test.for([
  'application/vnd.oci.image.layer.v1.tar',
  'application/vnd.oci.image.layer.v1.tar+gzip',
  'application/vnd.oci.image.layer.v1.tar+zstd',
  'application/vnd.docker.image.rootfs.diff.tar',
  'application/vnd.docker.image.rootfs.diff.tar.gzip',
])('a layer may be %s', (type) => {
  expect(parse(image(type))).toEqual({
    kind: 'image',
    config: { mediaType: ociConfig.mediaType, digest, sizeBytes: 7 },
    layers: [{ mediaType: type, digest, sizeBytes: 7 }],
  })
})

test("Docker's manifests and lists are read by the type in them, or else by the response's", () => {
  const manifest = 'application/vnd.docker.distribution.manifest.v2+json'
  const list = 'application/vnd.docker.distribution.manifest.list.v2+json'
  expect(parse({ mediaType: manifest, config: dockerConfig, layers: [] })).toMatchObject({ kind: 'image' })
  expect(parse({ config: dockerConfig, layers: [] }, `${manifest}; charset=utf-8`)).toMatchObject({
    kind: 'image',
  })
  const platform = { os: 'linux', architecture: 'arm', variant: 'v7' }
  expect(parse({ manifests: [{ ...blob(manifest), platform }] }, list)).toEqual({
    kind: 'index',
    entries: [{ mediaType: manifest, digest, sizeBytes: 7, platform }],
  })
  expect(parse({ manifests: [blob(manifest)] })).toMatchObject({ kind: 'index' })
})

test.for([
  [{ schemaVersion: 1, fsLayers: [] }, '', 'Docker schema 1'],
  [{ fsLayers: [] }, 'application/vnd.docker.distribution.manifest.v1+prettyjws', 'Docker schema 1'],
  [image('application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'), '', 'a foreign layer'],
  [image('application/vnd.oci.image.layer.nondistributable.v1.tar+gzip'), '', 'a foreign layer'],
  [image('application/vnd.oci.image.layer.v1.tar+gzip+encrypted'), '', 'an encrypted layer'],
  [image('application/x-squashfs'), '', 'a layer of the unknown media type application/x-squashfs'],
  [image(), 'text/html', 'its manifest is of the unknown media type text/html'],
  [{ manifests: [], layers: [] }, '', 'two different images'],
  [{ ...image(), manifests: [] }, 'application/vnd.oci.image.manifest.v1+json', 'two different images'],
  [{ manifests: [{ digest: 'x' }] }, '', 'its index is malformed: manifests.0.'],
  [
    { config: { ...ociConfig, digest: 'sha512:1' }, layers: [] },
    '',
    'its manifest is malformed: config.digest',
  ],
  [{ config: { ...ociConfig, size: -1 }, layers: [] }, '', 'its manifest is malformed: config.size'],
  [[], '', 'no JSON object'],
] as const)('%j is refused: %s%s', ([json, mediaType, message]) => {
  expect(() => parse(json, mediaType)).toThrow(
    expect.objectContaining({ kind: 'failed-precondition', message: expect.stringContaining(message) }),
  )
})

test.for([
  [image('x\u001b[2J'), '', 'its manifest is malformed: layers.0.mediaType is no media type'],
  [{ ...image(), artifactType: 'x'.repeat(256) }, '', 'artifactType is no media type'],
  [image(), 'x/\u009b2J', 'unknown media type x/2j'],
  [
    { manifests: [{ ...blob(''), platform: { os: '\u0007', architecture: 'arm' } }] },
    '',
    'platform.os is no name of a platform',
  ],
] as const)('what cannot be shown does not get into a message: %j', ([json, mediaType, message]) => {
  expect(() => parse(json, mediaType)).toThrow(message)
})

test.for([
  [
    { ...image(), config: blob('application/vnd.cncf.helm.config.v1+json') },
    'application/vnd.cncf.helm.config.v1+json',
  ],
  [{ ...image(), artifactType: 'application/x' }, 'application/x'],
] as const)('%j is an artifact', ([json, artifactType]) => {
  expect(parse(json)).toMatchObject({ kind: 'artifact', artifactType })
})

test('the blobs of an artifact have the names that annotations give them', () => {
  const title = 'org.opencontainers.image.title'
  const layers = [
    { ...blob('text/plain'), annotations: { [title]: 'a/b' } },
    { ...blob('application/x.tar'), annotations: { 'io.deis.oras.content.unpack': 'true' } },
    blob('x/y'),
  ]
  expect(parse({ ...image(), artifactType: 'application/x', layers })).toMatchObject({
    blobs: [
      { title: 'a/b', isPacked: false },
      { title: '', isPacked: true },
      { title: '', isPacked: false },
    ],
  })
})

test('whatever comes is read or refused', () => {
  const key = fc.constantFrom('schemaVersion', 'mediaType', 'manifests', 'layers', 'config', 'digest', 'size')
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.dictionary(key, fc.jsonValue()).map((value) => JSON.stringify(value)),
      ),
      (text) => {
        try {
          parseManifest(Buffer.from(text), '')
        } catch (thrown) {
          if (!(thrown instanceof CriError)) throw thrown
        }
      },
    ),
  )
})
