import { afterEach, beforeEach, expect, test } from 'vitest'
import { chain, type FakePodNetwork, fakePodNetwork, request } from './fake-pod-network.ts'
import { readNetworkConfig } from './network-config.ts'

let fake: FakePodNetwork
beforeEach(async () => {
  fake = await fakePodNetwork()
})
afterEach(() => fake[Symbol.asyncDispose]())

const attachAll = async (...ids: string[]) => {
  for (const id of ids) await fake.network().attach(request(id))
  fake.calls.length = 0
}

test('what is attached is known until it is detached, and valid for garbage collection until then', async () => {
  await fake.configure(chain({ cniVersion: '1.1.0' }))
  await attachAll('a', 'b')
  const pods = fake.network({ gcNetworks: ['pods'] })
  expect([...(await pods.leftovers())].sort()).toEqual(['a', 'b'])
  await pods.detach('a', undefined)
  expect(await pods.leftovers()).toEqual(['b'])
  fake.calls.length = 0
  await pods.collectGarbage(() => ['c'])
  expect(fake.calls[0]?.config).toMatchObject({
    'cni.dev/valid-attachments': [{ containerID: 'b' }, { containerID: 'c' }],
  })
})

test('garbage collection never sends GC to a network that is not said to be ours alone', async () => {
  await fake.configure(chain({ cniVersion: '1.1.0' }))
  await fake.network().collectGarbage(() => [])
  await fake.network({ gcNetworks: ['another'] }).collectGarbage(() => [])
  expect(fake.calls).toEqual([])
})

test.for([{ disableGC: true }, { cniVersion: '1.0.0' }])(
  'garbage collection sends no GC with %j',
  async (change) => {
    await fake.configure(chain({ cniVersion: '1.1.0', ...change }))
    await fake.network({ gcNetworks: ['pods'] }).collectGarbage(() => [])
    expect(fake.calls).toEqual([])
  },
)

test('garbage collection tells each plugin the valid attachments, past one that fails', async () => {
  await fake.configure(chain({ cniVersion: '1.1.0' }))
  fake.behave(({ step }) => (step === 'GC bridge' ? { exitCode: 1, stderr: 'locked' } : undefined))
  const pods = fake.network({ gcNetworks: ['pods'] })
  await expect(pods.collectGarbage(() => ['a', 'b'])).rejects.toThrow(
    'GC by CNI plugin bridge failed: locked',
  )
  expect(fake.steps()).toEqual(['GC bridge', 'GC portmap', 'GC bandwidth'])
  expect(fake.calls[0]?.config['cni.dev/valid-attachments']).toEqual([
    { containerID: 'a', ifname: 'eth0' },
    { containerID: 'b', ifname: 'eth0' },
  ])
})

test('garbage collection waits for an ADD under way and counts it as valid', async () => {
  await fake.configure(chain({ cniVersion: '1.1.0' }))
  const release = Promise.withResolvers<undefined>()
  const adding = Promise.withResolvers<undefined>()
  fake.behave(({ step }) => {
    if (step !== 'ADD bridge') return undefined
    adding.resolve(undefined)
    return release.promise
  })
  const valid = new Set(['new'])
  const pods = fake.network({ gcNetworks: ['pods'] })
  const attached = pods.attach(request('new'))
  await adding.promise
  const collected = pods.collectGarbage(() => valid)
  for (let i = 0; i < 5; i += 1) await readNetworkConfig(fake.confDir) // What a GC that did not wait would need.
  release.resolve(undefined)
  await Promise.all([attached, collected])
  expect(fake.steps()).toEqual([
    ...['ADD bridge', 'ADD portmap', 'ADD bandwidth'],
    ...['GC bridge', 'GC portmap', 'GC bandwidth'],
  ])
  expect(fake.calls.at(-1)?.config).toMatchObject({ 'cni.dev/valid-attachments': [{ containerID: 'new' }] })
})
