import { expect, test } from 'vitest'
import { fakeCall, fakeRuntimeService, fakeServices, fakeStatus } from '../fake-services.ts'
import { StartGate } from '../start-gate.ts'
import { runtimeService } from './service.ts'

const call = fakeCall()
const request = { verbose: false }

test('of a daemon that is up: both conditions, every handler, the default one under the name "" too', async () => {
  const { table } = fakeRuntimeService()
  const runc = { recursiveReadOnlyMounts: true, userNamespaces: false }
  const crun = { recursiveReadOnlyMounts: false, userNamespaces: true }
  expect(await table.status(request, call)).toEqual({
    status: {
      conditions: [
        { type: 'RuntimeReady', status: true, reason: '', message: '' },
        { type: 'NetworkReady', status: true, reason: '', message: '' },
      ],
    },
    runtimeHandlers: [
      { name: 'runc', features: runc },
      { name: '', features: crun },
      { name: 'crun', features: crun },
    ],
    features: { supplementalGroupsPolicy: true, userNamespacesHostNetwork: true, mountOptions: true },
    info: {},
  })
})

test('verbose adds topics, each as JSON', async () => {
  const { table } = fakeRuntimeService()
  expect(await table.status({ verbose: true }, call)).toMatchObject({ info: { cgroups: '{"version":1}' } })
})

test('a network that is not ready says why', async () => {
  const message = 'no network configuration in /etc/cni/net.d'
  const network = async () => ({ ready: false, reason: 'NetworkNotConfigured', message }) as const
  const { table } = fakeRuntimeService({}, fakeStatus({ network }))
  const { status } = await table.status(request, call)
  expect(status?.conditions[1]).toEqual({
    type: 'NetworkReady',
    status: false,
    reason: 'NetworkNotConfigured',
    message,
  })
})

test('a network that cannot be asked is not ready, and Status is answered all the same', async () => {
  const { table } = fakeRuntimeService({}, fakeStatus({ network: () => Promise.reject(new Error('EACCES')) }))
  const { status } = await table.status(request, call)
  expect(status?.conditions[1]).toMatchObject({ status: false, message: 'EACCES' })
})

test('before the start is done the runtime is not ready', async () => {
  const services = fakeServices()
  const streaming = { urlFor: () => '' }
  const table = runtimeService({ ...services, streaming, status: fakeStatus(), gate: new StartGate() })
  const { status } = await table.status(request, call)
  expect(status?.conditions[0]).toMatchObject({ type: 'RuntimeReady', status: false, reason: 'Starting' })
})
