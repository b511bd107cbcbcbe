import { afterEach, beforeEach, expect, test } from 'vitest'
import { CriError } from '#lib/errors.ts'
import { type FakePlugins, fakePlugins } from './fake-plugins.ts'
import { createPlugins } from './plugin.ts'

let fake: FakePlugins
beforeEach(async () => {
  fake = await fakePlugins()
  await fake.install('bridge')
})
afterEach(() => fake[Symbol.asyncDispose]())

const del = {
  command: 'DEL',
  network: { name: 'pods', cniVersion: '1.0.0' },
  plugin: { type: 'bridge', name: 'overridden', mtu: 1400 },
} as const

test('a plugin runs with the network’s name and version and its own time limit', async () => {
  await createPlugins({ ...fake, timeoutMs: 1234 }).invoke(del)
  expect(fake.calls).toMatchObject([
    { step: 'DEL bridge', config: { name: 'pods', cniVersion: '1.0.0', mtu: 1400 }, timeoutMs: 1234 },
  ])
})

test.for([
  [{ stdout: { code: 11, msg: 'try later' } }, 'unavailable', 'try later (code 11)'],
  [{ stdout: { code: 4, msg: 'bad', details: 'CNI_IFNAME' } }, 'internal', 'bad: CNI_IFNAME (code 4)'],
  [{ stdout: '', stderr: 'panic: nil' }, 'internal', 'panic: nil (exit code 1)'],
  [{ stdout: 'half {', stderr: 'note' }, 'internal', 'note; half { (exit code 1)'],
  [{ stdout: '' }, 'internal', 'it printed no error (exit code 1)'],
] as const)('a failure %j is %s: %s', async ([answer, kind, words]) => {
  fake.behave(() => ({ exitCode: 1, ...answer }))
  await expect(createPlugins({ ...fake, timeoutMs: 1000 }).invoke(del)).rejects.toMatchObject({
    kind,
    message: `network pods: DEL by CNI plugin bridge failed: ${words}`,
  })
})

test('a plugin that does not end keeps the kind of its failure and is named', async () => {
  fake.behave(() => {
    throw new CriError('deadline-exceeded', 'it was killed')
  })
  await expect(createPlugins({ ...fake, timeoutMs: 1000 }).invoke(del)).rejects.toMatchObject({
    kind: 'deadline-exceeded',
    message: 'network pods: DEL by CNI plugin bridge',
    cause: { message: 'it was killed' },
  })
})
