import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { startLeakCheck } from './leak-check.ts'

const QUICKSTART = new URL('../../hack/quickstart', import.meta.url).pathname
const quickstart = async (...args: readonly string[]): Promise<string> => {
  try {
    return (await promisify(execFile)(QUICKSTART, args)).stdout
  } catch (error) {
    const printed = error instanceof Error && 'stdout' in error ? error.stdout : ''
    throw new Error(`quickstart ${args.join(' ')}:\n${printed}`, { cause: error })
  }
}
const DIRECTORIES = ['/etc/cni', '/var/lib/cri-ts-quickstart', '/run/cri-ts-quickstart']

test('quickstart shows a pod at work, a second time too, and --down leaves nothing', async () => {
  const leaks = startLeakCheck(() => ({ directories: DIRECTORIES }))
  for (let round = 0; round < 2; round += 1) {
    const stdout = await quickstart()
    expect(stdout).toMatch(/^pod IP +\d+\.\d+\.\d+\.\d+$/m)
    expect(stdout).toMatch(/^HTTP answer +hello from pod web$/m)
    expect(stdout).toMatch(/^ +uid=0\(root\)/m)
    expect(stdout).toMatch(/response:200/)
    expect(stdout).toMatch(/^in all +\d+$/m)
  }
  await quickstart('--down')
  await leaks.expectNone()
})

test('--down works where nothing was brought up', async () => {
  const leaks = startLeakCheck(() => ({ directories: DIRECTORIES }))
  await quickstart('--down')
  await leaks.expectNone()
})
