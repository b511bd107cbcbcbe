import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Message } from '#cri/client.ts'
import { cgroupDriver } from './cgroup-driver.ts'
import { HANDLERS, useDaemon } from './host.ts'
import { bridgeNetwork } from './networks.ts'
import { until } from './until.ts'

const daemon = useDaemon()

test('Version says who answers and that it speaks CRI v1', async () => {
  const answer = await daemon().crictl('version')
  expect(answer).toMatch(/RuntimeName: +cri-ts/)
  expect(answer).toMatch(/RuntimeVersion: +\d+\.\d+\.\d+/)
  expect(answer).toMatch(/RuntimeApiVersion: +v1/)
})

test('Status is ready for pods and network, and verbose information is JSON', async () => {
  const info = await daemon().crictlJson('info')
  expect(info.status.conditions).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ type: 'RuntimeReady', status: true }),
      expect.objectContaining({ type: 'NetworkReady', status: true }),
    ]),
  )
  expect(info.config).toBeDefined()
})

test('Status lists both handlers, and the default one under the empty name with its features', async () => {
  const { runtime_handlers: handlers } = await daemon().rpc('Status')
  const named = new Map(handlers.map((handler: Message) => [handler['name'], handler['features']]))
  expect([...named.keys()].sort()).toEqual(['', ...HANDLERS])
  expect([named.get('crun'), named.get('runc')]).toContainEqual(named.get(''))
  for (const name of HANDLERS) expect(named.get(name)).toMatchObject({ recursive_read_only_mounts: true })
})

test('Status says which handler is the default one, and why', async () => {
  const { info } = await daemon().rpc('Status', { verbose: true })
  expect(JSON.stringify(info)).toMatch(/crun/)
})

test('RuntimeConfig tells kubelet the cgroup driver', async () => {
  expect(await daemon().crictl('runtime-config')).toContain(cgroupDriver.toUpperCase())
})

test('UpdateRuntimeConfig is taken', async () => {
  await daemon().rpc('UpdateRuntimeConfig', {
    runtime_config: { network_config: { pod_cidr: '10.0.0.0/24' } },
  })
})

const networkCondition = async (): Promise<Message> =>
  (await daemon().rpc('Status'))['status'].conditions.find((one: Message) => one['type'] === 'NetworkReady')

test('without a network configuration NetworkReady is false and names the directory, until one comes', async () => {
  const file = join(daemon().networks, '10-pods.conflist')
  rmSync(file)
  await until('the network is not ready', async () => !(await networkCondition())['status'])
  expect(await networkCondition()).toMatchObject({ message: expect.stringContaining(daemon().networks) })

  writeFileSync(file, bridgeNetwork(daemon().directory))
  await until('the network is ready again', async () => (await networkCondition())['status'])
})

test('a configuration that cannot be parsed is named with its error', async () => {
  const file = join(daemon().networks, '10-pods.conflist')
  writeFileSync(file, '{ "cniVersion": ')
  await until('the network is not ready', async () => !(await networkCondition())['status'])
  const { message } = await networkCondition()
  expect(message).toContain('10-pods.conflist')
  expect(message).toMatch(/JSON|parse|unexpected/i)

  writeFileSync(file, bridgeNetwork(daemon().directory))
  await until('the network is ready again', async () => (await networkCondition())['status'])
})

test('RPCs of later versions answer UNIMPLEMENTED', async () => {
  await expect(daemon().rpc('CheckpointPod', {})).rejects.toMatchObject({ code: 12 })
})
