import { parse } from 'smol-toml'
import { expect, test } from 'vitest'
import { defaultFileConfig } from './config.ts'
import { configKeys } from './keys.ts'
import { annotatedToml, documentedToml } from './render.ts'
import { configSchema } from './schema.ts'

test('the documented defaults, read again, are the defaults', () => {
  expect(configSchema.parse(parse(documentedToml(defaultFileConfig())))).toEqual(defaultFileConfig())
})

test('every key stands below a sentence of its own', () => {
  const text = documentedToml(defaultFileConfig())
  for (const key of configKeys(['crun', 'runc'])) expect(text).toContain(`# ${key.description} Must be`)
})

test('a value shows where it comes from', () => {
  const file = { ...defaultFileConfig(), root: '/elsewhere' }
  const text = annotatedToml(file, ([name]) => (name === 'root' ? '/etc/x.toml:3' : undefined))
  expect(text).toContain('root = "/elsewhere" # /etc/x.toml:3\nstate = "/run/cri-ts" # default\n')
  expect(text).toContain(
    '\n[image]\n# registries_dir = # default: /etc/containers/certs.d, else /etc/containerd/certs.d\n',
  )
  expect(configSchema.parse(parse(text))).toEqual(file)
})
