import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makePrivate } from './private-directories.ts'

test('a directory is closed to others, also one that was open', () => {
  const directory = mkdtempSync(join(tmpdir(), 'private-'))
  try {
    const open = join(directory, 'open')
    mkdirSync(open)
    chmodSync(open, 0o777)
    makePrivate([open, join(directory, 'new/one')])
    for (const path of [open, join(directory, 'new/one')]) expect(statSync(path).mode & 0o777).toBe(0o700)
  } finally {
    rmSync(directory, { recursive: true })
  }
})
