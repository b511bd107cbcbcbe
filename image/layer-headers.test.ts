import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { LayerHeaders } from './layer-headers.ts'

test.for([
  ['long names', 4000, 5_000],
  ['many names', 1, 150_000],
  ['names that JSON makes longer', '\x01'.repeat(4000), 1_000],
] as const)('a layer that replaces files of %s is refused', ([, name, count]) => {
  const home = mkdtempSync(join(tmpdir(), 'headers-'))
  const path = typeof name === 'string' ? name : 'x'.repeat(name)
  try {
    using headers = new LayerHeaders(join(home, 'layer.headers'))
    const replace = (times: number): void => {
      for (let index = 0; index < times; index += 1) headers.replaced(path, undefined)
    }
    replace(100)
    expect(() => replace(count)).toThrow(/replaces so many of its own files/)
  } finally {
    rmSync(home, { recursive: true })
  }
})
