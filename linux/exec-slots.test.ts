import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Cgroup } from './cgroups.ts'
import { takeExecSlot } from './exec-slots.ts'

let marks: string
beforeEach(() => {
  marks = mkdtempSync(join(tmpdir(), 'exec-slots-'))
})
afterEach(() => rmSync(marks, { recursive: true }))

const nothing = (): void => {}
const cgroup: Pick<Cgroup, 'child' | 'create' | 'processes'> = {
  child: () => cgroup as Cgroup,
  create: nothing,
  processes: () => [],
}

test('execs at the same time have slots of their own, and one that is free is taken again', () => {
  using first = takeExecSlot(cgroup as Cgroup, marks)
  const second = takeExecSlot(cgroup as Cgroup, marks)
  expect([first.name, second.name]).toEqual(['exec-0', 'exec-1'])
  second[Symbol.dispose]()
  expect(existsSync(second.mark)).toBe(false)
  using third = takeExecSlot(cgroup as Cgroup, marks)
  expect(third.name).toBe('exec-1')
})

test('what a killed runc began to write is no hindrance to the next one, which creates it anew', () => {
  const unfinished = join(marks, '.exec-0')
  writeFileSync(unfinished, '12')
  using _ = takeExecSlot(cgroup as Cgroup, marks)
  expect(existsSync(unfinished)).toBe(false)
})
