import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import type { StoreProblem } from '#image/store-check.ts'
import type { StoreUpkeep } from '#image/store-upkeep.ts'
import { watchStore } from './daemon-store-check.ts'

const log = { debug() {}, info() {}, warn() {}, error() {} }
const problem = { subject: 'layer a', what: '', images: [], containers: [], repaired: false }

let root: string
let mark: string
let checks: number
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'in-use-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  mark = join(root, 'in-use')
  checks = 0
})

/** A start of the daemon and its orderly end. */
async function start(...problems: readonly StoreProblem[]): Promise<void> {
  const upkeep: Pick<StoreUpkeep, 'check'> = {
    async check() {
      checks += 1
      return { problems, layers: 1, images: 1, unverified: [] }
    },
  }
  await using _ = watchStore(root, { upkeep }, log)
}

test('a store that was in use when the machine went down is checked once', async () => {
  writeFileSync(mark, 'another boot')
  await start({ ...problem, checked: true })
  expect([checks, existsSync(mark)]).toEqual([1, false])
  await start()
  expect(checks).toBe(1)
})

test('it is checked at the next start once more when a layer could not be read', async () => {
  writeFileSync(mark, 'another boot')
  await start({ ...problem, checked: false })
  await start()
  expect([checks, existsSync(mark)]).toEqual([2, false])
})

test('a store that cannot be written any more holds up neither a check nor the end', async () => {
  writeFileSync(mark, 'another boot')
  const warnings: string[] = []
  {
    await using _ = watchStore(
      root,
      {
        upkeep: {
          async check() {
            rmSync(mark)
            mkdirSync(mark) // Which is neither written nor removed as a file.
            return { problems: [], layers: 1, images: 1, unverified: [] }
          },
        },
      },
      { ...log, warn: (_fields, message) => warnings.push(message) },
    )
  }
  expect(warnings).toEqual([
    'the machine went down while the image store was in use: all layers are checked',
    'the image store cannot be written',
    'the image store cannot be written',
  ])
})
