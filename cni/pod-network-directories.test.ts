import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { chain, type FakePodNetwork, fakePodNetwork, request } from './fake-pod-network.ts'

let fake: FakePodNetwork
let other: string
beforeEach(async () => {
  fake = await fakePodNetwork()
  other = mkdtempSync(join(tmpdir(), 'net-'))
})
afterEach(async () => {
  rmSync(other, { recursive: true })
  await fake[Symbol.asyncDispose]()
})

const special = (): void =>
  writeFileSync(
    join(other, '1.conflist'),
    JSON.stringify(chain({ name: 'special', plugins: [{ type: 'bridge', bridge: 'special0' }] })),
  )

test('a request that names a directory is attached by the network there, and detached from it', async () => {
  special()
  const network = fake.network()
  await network.attach({ ...request('abc'), confDir: other })
  await network.attach(request('def'))
  expect(fake.calls.map(({ config }) => config['name'])).toEqual(['special', 'pods', 'pods', 'pods'])
  rmSync(join(other, '1.conflist')) // What was cached is enough.
  fake.calls.length = 0
  await fake.network().detach('abc', '/run/netns/abc')
  expect(fake.calls.map(({ config }) => config['name'])).toEqual(['special'])
  expect(await fake.cached()).toEqual(['def.json'])
})

test("a directory without a network is named, and the node's network stays ready", async () => {
  const network = fake.network()
  await expect(network.attach({ ...request(), confDir: other })).rejects.toMatchObject({
    kind: 'unavailable',
    message: expect.stringContaining(other),
  })
  expect(await network.status()).toEqual({ ready: true })
})
