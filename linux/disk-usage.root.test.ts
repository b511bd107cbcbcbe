import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { DiskUsage } from './disk-usage.ts'

test('trees are measured in a thread, which ends with its owner', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'cri-ts-disk-'))
  using _gone = { [Symbol.dispose]: () => rmSync(directory, { recursive: true }) }
  writeFileSync(join(directory, 'file'), 'x')
  const disk = new DiskUsage()
  const [first, missing] = await Promise.all([disk.measure(directory), disk.measure(join(directory, 'none'))])
  expect([first.usedInodes, missing.usedInodes]).toEqual([2, 0])

  const late = disk.measure(directory)
  await Promise.all([disk[Symbol.asyncDispose](), expect(late).rejects.toThrow('end')])
  await expect(disk.measure(directory)).rejects.toThrow('measuring was ended')
})
