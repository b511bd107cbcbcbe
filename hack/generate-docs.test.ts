import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { configurationPage } from './generate-docs.ts'

test('docs/configuration.md is what the schema says', () => {
  const page = readFileSync(join(import.meta.dirname, '../docs/configuration.md'), 'utf8')
  expect(page, 'run `npm run generate`').toBe(configurationPage())
})

test('a key has its default, its unit and a sentence', () => {
  expect(configurationPage()).toContain(
    '| `port` | `0` | A TCP port from 0 to 65535 | Its TCP port; 0 is any free one. |\n',
  )
})
