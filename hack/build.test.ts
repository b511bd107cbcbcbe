import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { workerUrl } from '#linux/worker-url.ts'
import { bundle } from './build.ts'

test('the bundle runs, and has its workers where they are looked for', async () => {
  const cache = join(import.meta.dirname, '..', 'node_modules/.cache') // koffi is found from here.
  mkdirSync(cache, { recursive: true })
  const directory = mkdtempSync(join(cache, 'build-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  await bundle(directory)

  const main = join(directory, 'main.js')
  expect(execFileSync(process.execPath, [main, 'version'], { encoding: 'utf8' })).toMatch(
    /^cri-ts \d+\.\d+\.\d+ /,
  )
  expect(execFileSync(process.execPath, [main, 'config', 'default'], { encoding: 'utf8' })).toContain('[cni]')
  expect(existsSync(workerUrl(pathToFileURL(main).href, 'process-watcher'))).toBe(true)
})
