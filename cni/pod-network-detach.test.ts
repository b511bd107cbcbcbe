import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { chain, type FakePodNetwork, fakePodNetwork, request } from './fake-pod-network.ts'

let fake: FakePodNetwork
beforeEach(async () => {
  fake = await fakePodNetwork()
})
afterEach(() => fake[Symbol.asyncDispose]())

test('detach runs DEL in reverse with all that ADD was given, though the configuration has changed', async () => {
  const pods = fake.network()
  await pods.attach(request())
  await fake.configure({ cniVersion: '0.3.1', name: 'other', plugins: [{ type: 'bandwidth' }] })
  fake.calls.length = 0
  await pods.detach('abc', '/run/netns/abc')
  expect(fake.steps()).toEqual(['DEL bandwidth', 'DEL portmap', 'DEL bridge'])
  for (const { config, env } of fake.calls) {
    expect(config).toMatchObject({ name: 'pods', prevResult: { ips: [{ address: '10.9.0.2/16' }] } })
    expect(env).toMatchObject({
      CNI_NETNS: '/run/netns/abc',
      CNI_ARGS: expect.stringContaining('K8S_POD_UID=u'),
    })
  }
  expect(fake.calls[1]?.config).toHaveProperty('runtimeConfig.portMappings')
  expect(await fake.cached()).toEqual([])
})

test('detach passes an empty CNI_NETNS when the namespace is gone, by a daemon that was not there at the ADD', async () => {
  await fake.network().attach(request())
  await rm(fake.confDir, { recursive: true })
  await fake.network().detach('abc', undefined)
  expect(fake.calls.at(-1)).toMatchObject({ step: 'DEL bridge', env: { CNI_NETNS: '' } })
})

test('detach passes no result where the version has none on DEL', async () => {
  await fake.configure(chain({ cniVersion: '0.3.1' }))
  const pods = fake.network()
  await pods.attach(request())
  await pods.detach('abc', undefined)
  expect(fake.calls.at(-1)?.config).not.toHaveProperty('prevResult')
})

test('detach goes on past plugins that fail, names each, and is done by the next detach', async () => {
  const pods = fake.network()
  await pods.attach(request())
  fake.behave(({ step }) =>
    /bandwidth|bridge/.test(step) ? { exitCode: 3, stderr: `${step} broke` } : undefined,
  )
  const failure = await pods.detach('abc', undefined).catch((error: Error) => error.message)
  expect(failure).toContain('detaching sandbox abc is unfinished')
  expect(failure).toContain('DEL by CNI plugin bandwidth failed: DEL bandwidth broke (exit code 3)')
  expect(failure).toContain('DEL by CNI plugin bridge failed: DEL bridge broke (exit code 3)')
  expect(fake.steps().slice(-3)).toEqual(['DEL bandwidth', 'DEL portmap', 'DEL bridge'])
  expect(await fake.cached()).toEqual(['abc.json'])
  fake.behave(() => undefined)
  await pods.detach('abc', undefined)
  expect(await fake.cached()).toEqual([])
})

test('detach of an unknown sandbox succeeds without a plugin, again and again', async () => {
  await fake.network().detach('unknown', undefined)
  await fake.network().detach('unknown', '/run/netns/unknown')
  expect(fake.calls).toEqual([])
})

test('detach of a sandbox that a crash left in the middle of ADD runs DEL', async () => {
  await fake.network().attach(request())
  const { result: _, ...adding } = await fake.cacheOf('abc')
  await writeFile(join(fake.cacheDir, 'abc.json'), JSON.stringify(adding))
  await fake.network().detach('abc', undefined)
  expect(fake.steps().slice(-3)).toEqual(['DEL bandwidth', 'DEL portmap', 'DEL bridge'])
  expect(await fake.cached()).toEqual([])
})

test('detach with a cache that a power loss emptied goes by the present configuration', async () => {
  await fake.network().attach(request())
  await writeFile(join(fake.cacheDir, 'abc.json'), '')
  await fake.network().detach('abc', undefined)
  expect(fake.warnings).toEqual(['detaching by the present CNI configuration'])
  expect(fake.calls.at(-1)).toMatchObject({ step: 'DEL bridge', env: { CNI_CONTAINERID: 'abc' } })
  expect(await fake.cached()).toEqual([])
})

test('detach with neither cache nor configuration says which file it needs', async () => {
  await fake.network().attach(request())
  await writeFile(join(fake.cacheDir, 'abc.json'), '{}')
  await rm(fake.confDir, { recursive: true })
  await expect(fake.network().detach('abc', undefined)).rejects.toMatchObject({
    kind: 'unavailable',
    message: expect.stringContaining('abc.json cannot be read'),
  })
})
