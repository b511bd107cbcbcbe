import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { WorkerHostPaths } from './host-paths.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'log-directory-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

test('a log directory is made with its parents by a worker; one that cannot be is told of by its path', async () => {
  await using paths = new WorkerHostPaths()
  const deep = join(directory, 'logs/deep')
  await paths.makeLogDirectory(deep)
  await paths.makeLogDirectory(deep)
  expect(statSync(deep).mode & 0o777).toBe(0o755)
  writeFileSync(join(directory, 'file'), '')
  await expect(paths.makeLogDirectory(join(directory, 'file/below'))).rejects.toMatchObject({
    kind: 'failed-precondition',
    message: expect.stringContaining(join(directory, 'file/below')),
  })
})
