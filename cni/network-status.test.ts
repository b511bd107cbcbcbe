import { afterEach, beforeEach, expect, test } from 'vitest'
import { type FakePlugins, fakePlugins } from './fake-plugins.ts'
import { readNetworkConfig } from './network-config.ts'
import { createNetworkStatus } from './network-status.ts'
import { createPlugins } from './plugin.ts'

let fake: FakePlugins
let nowMs = 0
beforeEach(async () => {
  fake = await fakePlugins()
  await fake.install('bridge', 'portmap')
})
afterEach(() => fake[Symbol.asyncDispose]())

const chain = { cniVersion: '1.1.0', name: 'pods', plugins: [{ type: 'bridge' }, { type: 'portmap' }] }
const ready = { ready: true }

function status() {
  const plugins = createPlugins({ ...fake, timeoutMs: 1000 })
  return createNetworkStatus(
    () => readNetworkConfig(fake.confDir),
    plugins,
    () => nowMs,
  )
}

test('asks each plugin once in a while, however often it is called', async () => {
  await fake.configure(chain)
  const ask = status()
  expect(await Promise.all([ask(), ask(), ask()])).toEqual([ready, ready, ready])
  expect(fake.steps()).toEqual(['STATUS bridge', 'STATUS portmap'])
  nowMs += 6_000
  await ask()
  expect(fake.steps()).toHaveLength(4)
})

test('asks at once when the configuration is another', async () => {
  await fake.configure(chain)
  const ask = status()
  await ask()
  await fake.configure({ ...chain, name: 'other' })
  await ask()
  expect(fake.steps()).toHaveLength(4)
})

test('asks no plugin of a version before 1.1.0', async () => {
  await fake.configure({ ...chain, cniVersion: '1.0.0' })
  expect(await status()()).toEqual(ready)
  expect(fake.steps()).toEqual([])
})

test('is not ready with the words of the plugin', async () => {
  await fake.configure(chain)
  fake.behave(({ step }) =>
    step === 'STATUS portmap' ? { exitCode: 1, stdout: { code: 50, msg: 'agent is starting' } } : undefined,
  )
  expect(await status()()).toEqual({
    ready: false,
    reason: 'NetworkPluginNotReady',
    message: 'network pods: STATUS by CNI plugin portmap failed: agent is starting (code 50)',
  })
})

test('is not ready without a configuration, and without a plugin of it', async () => {
  const ask = status()
  expect(await ask()).toMatchObject({ ready: false, message: expect.stringContaining(fake.confDir) })
  await fake.configure({ ...chain, plugins: [{ type: 'absent' }] })
  expect(await ask()).toMatchObject({
    ready: false,
    message: expect.stringContaining('no CNI plugin absent in'),
  })
  await fake.configure(chain)
  expect(await ask()).toEqual(ready)
})
