import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { spreadDirectories } from './spread-directories.ts'

const made: string[] = []
afterEach(() => {
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true })
})
function directoryIn(parent: string): string {
  const directory = mkdtempSync(`${parent}/cri-ts-spread-`)
  made.push(directory)
  return directory
}

test.skipIf(statfsSync('/var/lib').type !== 0xef53)(
  'on ext4 a directory is marked as one of unrelated trees, again and again',
  () => {
    const directory = directoryIn('/var/lib')
    const marks = () => execFileSync('lsattr', ['-d', directory], { encoding: 'utf8' }).split(' ')[0]
    expect(marks()).not.toContain('T')
    expect([spreadDirectories(directory), spreadDirectories(directory)]).toEqual([true, true])
    expect(marks()).toContain('T')
  },
)

test('where there is no such mark nothing happens', () => {
  expect(spreadDirectories(directoryIn('/dev/shm'))).toBe(false)
})
