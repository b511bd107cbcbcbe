import { existsSync, lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { prepareLogFile } from './log-file.ts'

let home: string
const at = (path: string): string => join(home, path)
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'cri-ts-test-'))
  mkdirSync(at('pod'))
  mkdirSync(at('elsewhere'))
})
afterEach(() => rmSync(home, { recursive: true }))

const refused = (path: string) => ({
  kind: 'failed-precondition',
  message: expect.stringMatching(new RegExp(`log .*${path} `)),
})

test('the directories between are made, and may be there; the file is left to the monitor', async () => {
  await prepareLogFile(at('pod'), at('pod/web/deep/0.log'))
  await prepareLogFile(at('pod'), at('pod/web/deep/0.log'))
  expect(lstatSync(at('pod/web/deep')).isDirectory()).toBe(true)
  expect(existsSync(at('pod/web/deep/0.log'))).toBe(false)
  writeFileSync(at('pod/web/deep/0.log'), '')
  await prepareLogFile(at('pod'), at('pod/web/deep/0.log'))
  await prepareLogFile(at('pod'), at('pod/0.log'))
})

test('a log directory may itself be a link: that is how the administrator moves logs', async () => {
  symlinkSync(at('pod'), at('link'))
  await prepareLogFile(at('link'), at('link/web/0.log'))
  expect(existsSync(at('pod/web'))).toBe(true)
})

test.for(['there', 'nowhere'])('a file that is a link to what is %s is refused', async (target) => {
  writeFileSync(at('there'), '')
  symlinkSync(at(target), at('pod/0.log'))
  await expect(prepareLogFile(at('pod'), at('pod/0.log'))).rejects.toMatchObject(refused(at('pod/0.log')))
  expect(existsSync(at('nowhere'))).toBe(false)
})

test('a link between the log directory and the file is refused, and nothing is made beyond it', async () => {
  symlinkSync(at('elsewhere'), at('pod/web'))
  const prepare = prepareLogFile(at('pod'), at('pod/web/deep/0.log'))
  await expect(prepare).rejects.toMatchObject(refused(at('pod/web')))
  expect(existsSync(at('elsewhere/deep'))).toBe(false)
})

test('a file where a directory is wanted is told of', async () => {
  writeFileSync(at('pod/web'), '')
  const prepare = prepareLogFile(at('pod'), at('pod/web/deep/0.log'))
  await expect(prepare).rejects.toMatchObject(refused(at('pod/web/deep')))
})
