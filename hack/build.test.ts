import { execFileSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { workerUrl } from '#linux/worker-url.ts'
import { bundle } from './build.ts'

test('the bundle runs, has its workers where they are looked for, and replaces files of an earlier one whole', async () => {
  const cache = join(import.meta.dirname, '..', 'node_modules/.cache') // koffi is found from here.
  mkdirSync(cache, { recursive: true })
  const directory = mkdtempSync(join(cache, 'build-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const [main, stale] = ['main.js', 'chunk-stale.js'].map((name) => join(directory, name)) as [string, string]
  for (const path of [main, stale]) writeFileSync(path, 'earlier')
  const earlier = openSync(main, 'r')
  onTestFinished(() => closeSync(earlier))
  await bundle(directory)

  expect(readFileSync(earlier, 'utf8')).toBe('earlier')
  expect(existsSync(stale)).toBe(false)
  expect(execFileSync(process.execPath, [main, 'version'], { encoding: 'utf8' })).toMatch(
    /^cri-ts \d+\.\d+\.\d+ /,
  )
  expect(execFileSync(process.execPath, [main, 'config', 'default'], { encoding: 'utf8' })).toContain('[cni]')
  expect(existsSync(workerUrl(pathToFileURL(main).href, 'process-watcher'))).toBe(true)
})
