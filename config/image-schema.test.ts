import { expect, test } from 'vitest'
import { imageSettings, imageTable } from './image-schema.ts'

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
  }
  expect(read(table)).toMatchObject({
    registriesDir: '/a',
    registriesConf: '/b/c',
    authFile: '/e',
    namespacedAuthDir: '/f',
    trust: { signaturePolicy: '/g/h', signaturePolicyDir: '/i', verifiersDir: '/j' },
    format: 'erofs',
  })
})
