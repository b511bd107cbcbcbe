import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { removeStaleSocket } from './stale-socket.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'socket-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

test('a socket that somebody listens on stays, and the error names it', async () => {
  const path = join(directory, 'x.sock')
  const server = createServer().listen(path)
  await new Promise((resolve) => server.once('listening', resolve))
  await expect(removeStaleSocket(path)).rejects.toMatchObject({
    kind: 'failed-precondition',
    message: expect.stringContaining(`somebody listens on ${path}`),
  })
  expect(existsSync(path)).toBe(true)
  await new Promise((resolve) => server.close(resolve))
})

test('a file that is no socket is never removed', async () => {
  const path = join(directory, 'precious')
  writeFileSync(path, 'x')
  await expect(removeStaleSocket(path)).rejects.toThrow('is no socket')
  expect(existsSync(path)).toBe(true)
})

test('nothing there is fine', async () => {
  await removeStaleSocket(join(directory, 'nothing'))
})
