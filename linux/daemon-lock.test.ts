import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { lockDaemon } from './daemon-lock.ts'

test('a directory that cannot be written is named, with why', () => {
  const home = mkdtempSync(join(tmpdir(), 'daemon-lock-'))
  onTestFinished(() => rmSync(home, { recursive: true }))
  writeFileSync(join(home, 'file'), '')
  expect(() => lockDaemon(join(home, 'file/root/daemon.lock'))).toThrow(
    expect.objectContaining({
      kind: 'failed-precondition',
      message: `${home}/file/root cannot be written: see to its disk`,
    }),
  )
})
