import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

test('bin/cri-ts runs through links from anywhere, and passes arguments and exit code on', () => {
  const directory = mkdtempSync(join(tmpdir(), 'launcher-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  symlinkSync(join(import.meta.dirname, '..', 'bin/cri-ts'), join(directory, 'first'))
  symlinkSync('first', join(directory, 'cri-ts'))

  const run = (...args: string[]): string =>
    execFileSync('cri-ts', args, {
      cwd: '/',
      env: { PATH: `${directory}:${process.env['PATH']}` },
      encoding: 'utf8',
    })
  expect(run('version')).toMatch(/^cri-ts \d+\.\d+\.\d+ \(node v\d+/)
  expect(() => run('--no such')).toThrow(expect.objectContaining({ status: 2 }))
})
