import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { PodCgroups } from '#runtime/ports.ts'
import { cgroupAt, readHierarchies } from './cgroups.ts'
import { createPodCgroups } from './pod-cgroups.ts'

const hierarchies = readHierarchies()
const name = `/${process.env['CRI_TS_ISOLATED'] ?? 'cri-ts-test'}-${process.pid}`
const there = (below: string): number =>
  hierarchies.mounts.filter(({ path }) => existsSync(join(path, name, below))).length
const everywhere = hierarchies.mounts.length

let directory: string
let podCgroups: PodCgroups
beforeEach(() => {
  directory = mkdtempSync('/var/lib/cri-ts-test-')
  podCgroups = createPodCgroups(hierarchies, join(directory, 'cgroups'))
})
afterEach(async () => {
  await cgroupAt(hierarchies, name).remove()
  rmSync(directory, { recursive: true })
})
const notes = (): readonly string[] => {
  const path = join(directory, 'cgroups')
  return existsSync(path) ? readdirSync(path) : []
}

test('what was missing is made, and removed again', async () => {
  await podCgroups.ensure('a', `${name}/pods/pod1`)
  expect(there('pods/pod1')).toBe(everywhere)
  await podCgroups.remove('a')
  await podCgroups.remove('a')
  expect([there(''), notes()]).toEqual([0, []])
})

test("a cgroup that was there is somebody else's, and stays", async () => {
  for (const { path } of hierarchies.mounts) mkdirSync(join(path, name, 'pods/pod1'), { recursive: true })
  await podCgroups.ensure('a', `${name}/pods/pod1`)
  await podCgroups.remove('a')
  expect(there('pods/pod1')).toBe(everywhere)
})

test('what a second pod still uses stays, and goes with that one', async () => {
  await podCgroups.ensure('a', `${name}/pods/pod1`)
  await podCgroups.ensure('b', `${name}/pods/pod2`)
  await podCgroups.remove('a')
  expect([there('pods/pod1'), there('pods/pod2')]).toEqual([0, everywhere])
  await podCgroups.remove('b')
  expect(there('')).toBe(0)
})

test("slices are systemd's affair", async () => {
  await podCgroups.ensure('a', 'kubepods-pod1.slice')
  expect(notes()).toEqual([])
})

test('a pod whose cgroup somebody has removed meanwhile is no problem', async () => {
  await podCgroups.ensure('a', `${name}/pod1`)
  for (const { path } of hierarchies.mounts) rmdirSync(join(path, name, 'pod1'))
  await podCgroups.remove('a')
  expect(there('')).toBe(0)
})
