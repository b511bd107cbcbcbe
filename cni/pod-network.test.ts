import { afterEach, beforeEach, expect, test } from 'vitest'
import { chain, type FakePodNetwork, fakePodNetwork, request } from './fake-pod-network.ts'

let fake: FakePodNetwork
beforeEach(async () => {
  fake = await fakePodNetwork()
})
afterEach(() => fake[Symbol.asyncDispose]())

test('attach runs ADD of each plugin in order and answers the address', async () => {
  expect(await fake.network().attach(request())).toEqual(['10.9.0.2'])
  expect(fake.steps()).toEqual(['ADD bridge', 'ADD portmap', 'ADD bandwidth'])
})

test('attach gives each plugin name, version, its own fields, the result so far and what it declared', async () => {
  await fake.network().attach(request())
  const [bridge, portmap] = fake.calls
  expect(bridge?.config).toEqual({ type: 'bridge', bridge: 'cni0', name: 'pods', cniVersion: '1.0.0' })
  expect(portmap?.config).toMatchObject({
    runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIP: '' }] },
    prevResult: { cniVersion: '1.0.0', ips: [{ address: '10.9.0.2/16' }] },
  })
})

test('attach names the sandbox in the environment and holds its lock in the plugin', async () => {
  await fake.network().attach(request())
  expect(fake.calls[0]).toMatchObject({
    env: {
      CNI_CONTAINERID: 'abc',
      CNI_NETNS: '/run/netns/abc',
      CNI_IFNAME: 'eth0',
      CNI_PATH: fake.binDirs.join(':'),
      CNI_ARGS: expect.stringContaining('K8S_POD_NAME=web'),
      PATH: expect.any(String),
    },
    heldFds: [42],
  })
})

test('attach marks the sandbox before the first ADD, and keeps the result after the last', async () => {
  const during: unknown[] = []
  fake.behave(async ({ step }) => {
    if (step === 'ADD bridge') during.push(await fake.cacheOf('abc'))
    return undefined
  })
  await fake.network().attach(request())
  expect(during).toMatchObject([{ sandboxId: 'abc', network: { name: 'pods' } }])
  expect(during[0]).not.toHaveProperty('result')
  expect(await fake.cacheOf('abc')).toMatchObject({ result: { ips: [{ address: '10.9.0.2/16' }] } })
  expect(await fake.cached()).toEqual(['abc.json'])
})

test.for([
  ['bridge', undefined],
  ['portmap', '10.9.0.2/16'],
  ['bandwidth', '10.9.0.2/16'],
] as const)(
  'an attach that fails in %s is undone in reverse order with what is known',
  async ([type, known]) => {
    fake.behave(({ step }) =>
      step === `ADD ${type}` ? { exitCode: 1, stdout: { code: 7, msg: 'no', details: 'room' } } : undefined,
    )
    await expect(fake.network().attach(request())).rejects.toMatchObject({
      name: 'CriError',
      message: `network pods: ADD by CNI plugin ${type} failed: no: room (code 7)`,
    })
    expect(fake.steps().slice(-4)).toEqual([`ADD ${type}`, 'DEL bandwidth', 'DEL portmap', 'DEL bridge'])
    const prevResult = fake.calls.at(-1)?.config['prevResult']
    if (known === undefined) expect(prevResult).toBeUndefined()
    else expect(prevResult).toMatchObject({ ips: [{ address: known }] })
    expect(await fake.cached()).toEqual([])
  },
)

test('an attach whose undoing fails too reports the first failure, and is undone by detach', async () => {
  fake.behave(({ step }) => (/ADD portmap|DEL bridge/.test(step) ? { exitCode: 1, stderr: step } : undefined))
  const pods = fake.network()
  await expect(pods.attach(request())).rejects.toThrow('ADD by CNI plugin portmap failed: ADD portmap')
  expect(fake.warnings).toEqual(['a failed CNI ADD is not wholly undone'])
  expect(await fake.cached()).toEqual(['abc.json'])
  fake.behave(() => undefined)
  await pods.detach('abc', undefined)
  expect(await fake.cached()).toEqual([])
})

test('an attach is undone when the result has no address inside, or is none', async () => {
  for (const [stdout, message] of [
    [{ cniVersion: '1.0.0' }, 'has no address in sandbox abc'],
    ['Segmentation fault', 'the result of ADD by CNI plugin bandwidth is not valid'],
  ]) {
    fake.behave(({ step }) => (step === 'ADD bandwidth' ? { stdout } : undefined))
    await expect(fake.network().attach(request())).rejects.toThrow(String(message))
    expect(fake.steps().slice(-3)).toEqual(['DEL bandwidth', 'DEL portmap', 'DEL bridge'])
    expect(await fake.cached()).toEqual([])
  }
})

test('attach does nothing at all when a plugin of the chain is not installed', async () => {
  await fake.uninstall('bandwidth')
  await expect(fake.network().attach(request())).rejects.toMatchObject({
    kind: 'failed-precondition',
    message: expect.stringContaining(`network pods: no CNI plugin bandwidth in ${fake.binDirs.join(', ')}`),
  })
  expect(fake.calls).toEqual([])
  expect(await fake.cached()).toEqual([])
})

test('attach passes results on in the version of the list, whatever the plugin answers in', async () => {
  const old = { cniVersion: '0.3.1', ips: [{ version: '4', address: '10.9.0.3/16' }] }
  fake.behave(({ step }) => (step === 'ADD bridge' ? { stdout: old } : undefined))
  expect(await fake.network().attach(request())).toEqual(['10.9.0.3'])
  expect(fake.calls[1]?.config['prevResult']).toEqual({
    cniVersion: '1.0.0',
    ips: [{ address: '10.9.0.3/16' }],
  })
})

test('attaches of two sandboxes run at the same time', async () => {
  const both = Promise.withResolvers<undefined>()
  let running = 0
  fake.behave(({ step }) => {
    if (step !== 'ADD bridge') return undefined
    running += 1
    if (running === 2) both.resolve(undefined)
    return both.promise
  })
  const pods = fake.network()
  await Promise.all([pods.attach(request('a')), pods.attach(request('b'))])
  expect(running).toBe(2)
})

test('check runs CHECK in order with the result of the ADD', async () => {
  const pods = fake.network()
  await pods.attach(request())
  await pods.check('abc', '/run/netns/abc')
  expect(fake.steps().slice(3)).toEqual(['CHECK bridge', 'CHECK portmap', 'CHECK bandwidth'])
  expect(fake.calls.at(-1)?.config).toHaveProperty('prevResult')
})

test.for([{ disableCheck: true }, { cniVersion: '0.3.1' }])(
  'check asks no plugin with %j',
  async (change) => {
    await fake.configure(chain(change))
    const pods = fake.network()
    await pods.attach(request())
    await pods.check('abc', '/run/netns/abc')
    expect(fake.steps().slice(3)).toEqual([])
  },
)

test('check tells of the first plugin that finds it broken, and of an unknown sandbox', async () => {
  const pods = fake.network()
  await pods.attach(request())
  fake.behave(({ step }) => (step === 'CHECK portmap' ? { exitCode: 1, stderr: 'chain missing' } : undefined))
  await expect(pods.check('abc', '/run/netns/abc')).rejects.toThrow(
    'CHECK by CNI plugin portmap failed: chain',
  )
  await expect(pods.check('unknown', '/run/netns/x')).rejects.toMatchObject({ kind: 'not-found' })
})
