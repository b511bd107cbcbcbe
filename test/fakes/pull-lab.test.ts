import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { pullLab } from './pull-lab.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'cri-ts-lab-'))
  vi.stubEnv('TMPDIR', home)
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(home, { recursive: true })
})

test('a lab leaves nothing', async () => {
  await using lab = await pullLab()
  expect(readdirSync(home)).toHaveLength(1)
  await lab[Symbol.asyncDispose]()
  expect(readdirSync(home)).toEqual([])
})

test('one that cannot be set up leaves nothing', async () => {
  await expect(pullLab(undefined, ['no platform'])).rejects.toThrow('no platform')
  expect(readdirSync(home)).toEqual([])
})
