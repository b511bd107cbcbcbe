import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { markUse } from './use-mark.ts'

let mark: string
beforeEach(() => {
  const home = mkdtempSync(join(tmpdir(), 'mark-'))
  onTestFinished(() => rmSync(home, { recursive: true }))
  mark = join(home, 'in-use')
})

test('a store that another boot left in use was cut off, until it was checked', () => {
  expect(markUse(mark, 'boot-1').wasCut).toBe(false)
  expect(markUse(mark, 'boot-2').wasCut).toBe(true)
  const again = markUse(mark, 'boot-2')
  expect(again.wasCut).toBe(true)
  again.checked()
  expect(markUse(mark, 'boot-2').wasCut).toBe(false)
})

test('one whose daemon was killed in this boot was not, and one that was left in order was not', () => {
  expect([markUse(mark, 'boot-1').wasCut, markUse(mark, 'boot-1').wasCut]).toEqual([false, false])
  markUse(mark, 'boot-1').remove()
  expect(existsSync(mark)).toBe(false)
  expect(markUse(mark, 'boot-2').wasCut).toBe(false)
})
