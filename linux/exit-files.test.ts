import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ExitFiles } from './exit-files.ts'

test('a removal takes what a killed monitor was about to write, and nothing of others', () => {
  const directory = mkdtempSync(join(tmpdir(), 'cri-ts-exits-'))
  try {
    using exits = new ExitFiles(directory)
    for (const name of ['web', 'web.9ITKZ3', 'web2', 'web2.1ABCDE']) writeFileSync(join(directory, name), '0')
    exits.remove('web')
    expect(readdirSync(directory).toSorted()).toEqual(['web2', 'web2.1ABCDE'])
    exits.remove('web')
  } finally {
    rmSync(directory, { recursive: true })
  }
})
