import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ProcessWatcher } from './process-watcher.ts'
import { userNamespaceProblem } from './user-namespace-support.ts'

let home: string
let watcher: ProcessWatcher
beforeEach(() => {
  home = mkdtempSync('/var/lib/cri-ts-test-')
  chmodSync(home, 0o711)
  mkdirSync(join(home, 'state/userns'), { recursive: true })
  watcher = new ProcessWatcher()
})
afterEach(async () => {
  await watcher[Symbol.asyncDispose]()
  rmSync(home, { recursive: true })
})
const needs = () => ({ watcher, root: home, homes: join(home, 'state/userns') })

test('this host can have user namespaces', async () => {
  expect(await userNamespaceProblem(needs())).toBe('')
})

test.for(['6.2.16', '5.19.0-1-amd64'])('Linux %s can not', async (kernel) => {
  expect(await userNamespaceProblem({ ...needs(), kernel })).toMatch(/: user namespaces need 6.3 or newer$/)
})

test.for(['6.3.0', '6.12.1', '7.0'])('Linux %s can', async (kernel) => {
  expect(await userNamespaceProblem({ ...needs(), kernel })).toBe('')
})

test('a state directory that only root can enter is told', async () => {
  chmodSync(join(home, 'state'), 0o700)
  expect(await userNamespaceProblem(needs())).toMatch(
    /state can't be entered by the root of a user namespace: chmod/,
  )
})

test('a file system that can not map ids is told', async () => {
  expect(await userNamespaceProblem({ ...needs(), root: '/proc' })).toMatch(
    /^ids of \/proc can't be mapped: /,
  )
})
