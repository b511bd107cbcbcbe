import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { runCommand } from './command.ts'
import { createObjectLocks } from './object-lock.ts'
import { processOf } from './proc.ts'
import { ProcessWatcher } from './process-watcher.ts'

const NEVER = 1e9
let directory: string
let watcher: ProcessWatcher
beforeEach(() => {
  directory = mkdtempSync('/var/lib/cri-ts-test-')
  watcher = new ProcessWatcher()
})
afterEach(async () => {
  await watcher[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})

/** A program that a daemon left behind: it holds the lock of `a` until it gets SIGTERM. */
async function abandonedProgram(): Promise<number> {
  using lock = createObjectLocks(directory).hold('a')
  const argv = ['/bin/sh', '-c', 'sleep 600 >/dev/null 2>&1 & echo $!'] as const
  const { stdout } = await runCommand(watcher, { argv, timeoutMs: 5_000, heldFds: [lock.fd] })
  return Number(`${stdout}`)
}

test('what nobody holds is settled at once, and was never there', async () => {
  const locks = createObjectLocks(directory, NEVER)
  await locks.settle('a')
  expect(existsSync(join(directory, 'a'))).toBe(false)
})

test('many hold it together, and it is settled when the last has let go', async () => {
  const locks = createObjectLocks(directory, NEVER)
  const first = locks.hold('a')
  const second = locks.hold('a')
  let settled = false
  const settling = locks.settle('a').then(() => {
    settled = true
  })
  first[Symbol.dispose]()
  await locks.settle('b')
  expect(settled).toBe(false)
  second[Symbol.dispose]()
  await settling
})

test('a program that holds it is waited for', async () => {
  const pid = await abandonedProgram()
  const settling = createObjectLocks(directory, NEVER).settle('a')
  process.kill(pid, 'SIGTERM')
  await settling
})

test('one that does not end is killed after a while, and we are not', async () => {
  const pid = await abandonedProgram()
  await createObjectLocks(directory, 0).settle('a')
  await expect.poll(() => processOf(pid)).toBeUndefined()
})

test('a removed lock is free', async () => {
  const locks = createObjectLocks(directory, NEVER)
  locks.hold('a')[Symbol.dispose]()
  locks.remove('a')
  locks.remove('a')
  expect(existsSync(join(directory, 'a'))).toBe(false)
  await locks.settle('a')
})

test('what a lock is left of is known until it is removed', () => {
  const locks = createObjectLocks(directory, NEVER)
  expect(locks.leftovers()).toEqual([])
  locks.hold('a')[Symbol.dispose]()
  expect(locks.leftovers()).toEqual(['a'])
  locks.remove('a')
  expect(locks.leftovers()).toEqual([])
})
