import { expect, test } from 'vitest'
import { imageContradictions, imageSettings, imageTable } from './image-schema.ts'

const read = (table: object) => imageSettings(imageTable.parse(table))

test('an empty table [image] is the defaults', () => {
  expect(read({})).toEqual({
    registriesDir: undefined,
    registriesConf: '/etc/containers/registries.conf',
    authFile: undefined,
    namespacedAuthDir: undefined,
    trust: {
      signaturePolicy: undefined,
      signaturePolicyDir: '/etc/cri-ts/policies',
      unnamedSignatures: false,
      verifiersDir: undefined,
      verifierTimeoutMs: 10_000,
      maxVerifiers: 10,
    },
    format: 'overlay',
    imageStore: undefined,
    additionalStores: [],
    maxParallelDownloads: 6,
    pullProgressTimeoutMs: 300_000,
    maxLayerBytes: 2 ** 36,
    platforms: [],
    pinnedImages: [],
  })
})

test('paths of [image] are made normal', () => {
  const table = {
    registries_dir: '/a/',
    registries_conf: '/b//c',
    auth_file: '/d/../e',
    namespaced_auth_dir: '/f',
    signature_policy: '/g/./h',
    signature_policy_dir: '/i//',
    verifiers_dir: '/j/',
    format: 'erofs',
    image_store: '/g//h',
    additional_stores: ['/i/'],
  }
  expect(read(table)).toMatchObject({
    registriesDir: '/a',
    registriesConf: '/b/c',
    authFile: '/e',
    namespacedAuthDir: '/f',
    trust: { signaturePolicy: '/g/h', signaturePolicyDir: '/i', verifiersDir: '/j' },
    format: 'erofs',
    imageStore: '/g/h',
    additionalStores: ['/i'],
  })
})

test('the image store is no additional one', () => {
  const contradictions = (table: object) => imageContradictions('/root', imageTable.parse(table))
  expect(contradictions({ additional_stores: ['/a', '/root/'] })).toEqual([
    [
      ['image', 'additional_stores'],
      'image.additional_stores has /root, which is the image store itself: take it out',
    ],
  ])
  expect(contradictions({ image_store: '/a', additional_stores: ['/root'] })).toEqual([])
})

test.for([['linux/x86_64'], ['windows/amd64'], ['arm64'], ['linux/arm64/8']])(
  'platforms %j are refused',
  (platforms) => {
    expect(imageTable.safeParse({ platforms }).success).toBe(false)
  },
)

test('a layer may be as big as a quantity says', () => {
  expect(read({ max_layer_size: '1.5G' }).maxLayerBytes).toBe(1_500_000_000)
  for (const text of ['0', '-1', '17Ti', '64GiB', '']) {
    expect(imageTable.safeParse({ max_layer_size: text }).success).toBe(false)
  }
})
