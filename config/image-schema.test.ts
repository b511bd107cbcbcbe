import { expect, test } from 'vitest'
import { imageSettings, imageTable } from './image-schema.ts'

const read = (table: object) => imageSettings(imageTable.parse(table))

test('an empty table [image] is the defaults', () => {
  expect(read({})).toEqual({
    registriesDir: undefined,
    registriesConf: '/etc/containers/registries.conf',
    authFile: undefined,
    namespacedAuthDir: undefined,
  })
})

test('paths of [image] are made normal', () => {
  const table = {
    registries_dir: '/a/',
    registries_conf: '/b//c',
    auth_file: '/d/../e',
    namespaced_auth_dir: '/f',
  }
  expect(read(table)).toEqual({
    registriesDir: '/a',
    registriesConf: '/b/c',
    authFile: '/e',
    namespacedAuthDir: '/f',
  })
})
