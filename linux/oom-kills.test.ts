import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createOomKills, type OomKills } from './oom-kills.ts'

/** A slice and its scopes as files: cgroupfs in a temporary directory. */
let root: string
let oomKills: OomKills
const slice = 'kubepods-pod1.slice'
const sliceDirectory = 'kubepods.slice/kubepods-pod1.slice'

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'oom-kills-'))
  oomKills = createOomKills({ version: 2, mounts: [{ name: 'unified', path: root }] })
  setKills(sliceDirectory, 4)
})
afterEach(() => rmSync(root, { recursive: true }))

function setKills(directory: string, count: number): void {
  mkdirSync(join(root, directory), { recursive: true })
  writeFileSync(join(root, directory, 'memory.events'), `oom ${count}\noom_kill ${count}\n`)
}

function container(name: string, parent = slice) {
  const home = join(root, 'homes', name)
  const path = `${parent}:cri-ts:${name}`
  mkdirSync(home, { recursive: true })
  oomKills.begin(home, path)
  return { home, ended: (exitCode = 137, kills = oomKills) => kills.ended(home, path, exitCode) }
}

test("the monitor's mark tells it, but not of one that coped", () => {
  const { home, ended } = container('a')
  writeFileSync(join(home, 'oom'), '')
  expect([ended(1), ended(0)]).toEqual([true, false])
})

test("the counter of the container's cgroup tells it", () => {
  const { ended } = container('a')
  setKills(`${sliceDirectory}/cri-ts-a.scope`, 1)
  expect(ended(1)).toBe(true)
})

test('where the scope is gone the slice tells it, also when it is asked again, and after a restart', () => {
  const { ended } = container('a')
  setKills(sliceDirectory, 5)
  const restarted = createOomKills({ version: 2, mounts: [{ name: 'unified', path: root }] })
  expect([ended(), ended(), ended(137, restarted)]).toEqual([true, true, true])
})

test("a kill in the slice is one container's, and none of those that end otherwise or still have a scope", () => {
  const [killed, stopped, exited, scoped] = [container('a'), container('b'), container('c'), container('d')]
  setKills(`${sliceDirectory}/cri-ts-d.scope`, 0)
  setKills(sliceDirectory, 5)
  expect([killed.ended(), stopped.ended()]).toEqual([true, false])
  setKills(sliceDirectory, 6)
  expect([exited.ended(1), stopped.ended()]).toEqual([false, false])
  setKills(sliceDirectory, 7)
  expect(scoped.ended()).toBe(false)
})

test('kills from before its creation are not its own', () => {
  expect(container('a').ended()).toBe(false)
})

test('of system.slice, which the whole host shares, nothing is concluded', () => {
  setKills('system.slice', 1)
  const { ended } = container('a', 'system.slice')
  setKills('system.slice', 2)
  expect(ended()).toBe(false)
})
