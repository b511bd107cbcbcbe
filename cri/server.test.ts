import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { status } from '@grpc/grpc-js'
import { expect, test } from 'vitest'
import { ImageServiceDefinition } from '#proto/gen/runtime/v1/api.ts'
import { connect } from './client.ts'
import {
  containerRecord,
  containerSpec,
  fakeRuntimeService,
  fakeStatus,
  sandboxRecord,
} from './fake-services.ts'
import { recordingLog } from './recording-log.ts'
import { startCriServer } from './server.ts'
import { maxMessageBytes, type ServiceTable, unimplemented } from './service-table.ts'
import { StartGate } from './start-gate.ts'

const imageService = Object.fromEntries(
  Object.entries(ImageServiceDefinition.methods).map(([name, { name: rpc }]) => [name, unimplemented(rpc)]),
) as unknown as ServiceTable<typeof ImageServiceDefinition>

/** The server on a socket of its own, with a client that encodes by the .proto file. */
async function served(given: Parameters<typeof fakeRuntimeService>[0] = {}, { ready = true } = {}) {
  await using starting = new AsyncDisposableStack()
  const directory = mkdtempSync(join(tmpdir(), 'cri-ts-server-'))
  starting.defer(() => rmSync(directory, { recursive: true }))
  const socketPath = join(directory, 'cri.sock')
  const gate = new StartGate()
  if (ready) gate.open()
  const { lines, log } = recordingLog()
  const services = fakeRuntimeService(given, fakeStatus(), gate)
  const server = starting.use(
    await startCriServer({ socketPath, runtimeService: services.table, imageService, gate, log }),
  )
  const client = starting.use(connect(socketPath))
  const stack = starting.move()
  const dispose = () => stack.disposeAsync()
  return { socketPath, services, gate, lines, server, client, [Symbol.asyncDispose]: dispose }
}

test('a client that knows only the .proto file is understood, and understands', async () => {
  await using daemon = await served({ sandboxes: [sandboxRecord()] })
  const version = await daemon.client.call('Version')
  expect(version).toEqual({
    version: '0.1.0',
    runtime_name: 'cri-ts',
    runtime_version: '0.1.0',
    runtime_api_version: 'v1',
  })
  const config = {
    metadata: { name: 'web', uid: 'u1', namespace: 'default' },
    hostname: 'web',
    linux: { security_context: { namespace_options: { pid: 'CONTAINER' } } },
  }
  expect(await daemon.client.call('RunPodSandbox', { config })).toEqual({ pod_sandbox_id: 'new-sandbox' })
  expect(daemon.services.journal).toMatchObject([
    [
      'run',
      { hostname: 'web', handler: 'crun', namespaces: { network: 'pod', pid: 'container', ipc: 'pod' } },
    ],
  ])
  const { status: sandbox } = await daemon.client.call('PodSandboxStatus', { pod_sandbox_id: 's1' })
  expect(sandbox).toMatchObject({
    state: 'SANDBOX_READY',
    created_at: '1700000000123456789',
    network: { ip: '10.88.0.2' },
  })
})

test('a stream arrives whole', async () => {
  const containers = Array.from({ length: 120 }, (_, n) => containerRecord({ id: `c${n}` }))
  await using daemon = await served({ containers })
  const batches = await daemon.client.collect('StreamContainers')
  expect(batches.flatMap((batch) => batch['containers'])).toHaveLength(120)
})

test('until the start is done only Version and Status are served', async () => {
  await using daemon = await served({}, { ready: false })
  expect(await daemon.client.call('Version')).toMatchObject({ runtime_name: 'cri-ts' })
  const { status: answer } = await daemon.client.call('Status')
  expect(answer.conditions[0]).toMatchObject({ type: 'RuntimeReady', status: false, reason: 'Starting' })
  const starting = { code: status.UNAVAILABLE, details: expect.stringContaining('cri-ts is starting') }
  for (const rpc of ['ListContainers', 'ListImages', 'RunPodSandbox']) {
    await expect(daemon.client.call(rpc)).rejects.toMatchObject(starting)
  }
  await expect(daemon.client.collect('StreamContainers')).rejects.toMatchObject(starting)
  daemon.gate.open()
  expect(await daemon.client.call('ListContainers')).toEqual({ containers: [] })
})

test('an RPC of a later version is UNIMPLEMENTED by name, also a streaming one', async () => {
  await using daemon = await served()
  const later = (name: string) => ({
    code: status.UNIMPLEMENTED,
    details: `${name} is not implemented by this version of cri-ts`,
  })
  await expect(daemon.client.call('ListMetricDescriptors')).rejects.toMatchObject(
    later('ListMetricDescriptors'),
  )
  await expect(daemon.client.collect('GetContainerEvents')).rejects.toMatchObject(later('GetContainerEvents'))
})

test('a failure is its code and words, and one line of log with the ids', async () => {
  await using daemon = await served()
  const failure = { code: status.NOT_FOUND, details: 'container c9 not found' }
  await expect(daemon.client.call('StartContainer', { container_id: 'c9' })).rejects.toMatchObject(failure)
  expect(daemon.lines).toEqual([
    expect.objectContaining({
      level: 'warn',
      method: 'StartContainer',
      containerId: 'c9',
      code: 'NOT_FOUND',
    }),
  ])
})

test('a request of more than 16 MiB is RESOURCE_EXHAUSTED, and says so', async () => {
  await using daemon = await served()
  const container_id = 'x'.repeat(maxMessageBytes)
  await expect(daemon.client.call('ContainerStatus', { container_id })).rejects.toMatchObject({
    code: status.RESOURCE_EXHAUSTED,
    details: expect.stringContaining('larger than max'),
  })
})

test('an answer of more than 16 MiB is RESOURCE_EXHAUSTED and says what to do, and 8 MiB pass', async () => {
  const annotations = { big: 'x'.repeat(maxMessageBytes / 2) }
  const containers = ['c1', 'c2'].map((id) => containerRecord({ id, spec: containerSpec({ annotations }) }))
  await using daemon = await served({ containers })
  await expect(daemon.client.call('ListContainers')).rejects.toMatchObject({
    code: status.RESOURCE_EXHAUSTED,
    details: expect.stringContaining('filter it, or use a Stream RPC'),
  })
  const { containers: one } = await daemon.client.call('ListContainers', { filter: { id: 'c1' } })
  expect(one).toHaveLength(1)
})

test('the socket is for its owner and group, and goes with the server', async () => {
  const daemon = await served()
  expect(statSync(daemon.socketPath).mode & 0o777).toBe(0o660)
  await daemon[Symbol.asyncDispose]()
  expect(statSync(daemon.socketPath, { throwIfNoEntry: false })).toBeUndefined()
})

test('a missing directory of the socket is made, for all to enter; one that cannot be is named', async () => {
  await using daemon = await served()
  const { gate } = daemon
  const { log } = recordingLog()
  const options = { runtimeService: daemon.services.table, imageService, gate, log }
  const directory = join(dirname(daemon.socketPath), 'new', 'run')
  await using _server = await startCriServer({ socketPath: join(directory, 'cri.sock'), ...options })
  expect(statSync(directory).mode & 0o777).toBe(0o755)
  const below = join(daemon.socketPath, 'run', 'cri.sock')
  await expect(startCriServer({ socketPath: below, ...options })).rejects.toMatchObject({
    kind: 'failed-precondition',
    message: `listen: the directory ${dirname(below)} of the CRI socket cannot be made: make it, or set another path`,
  })
})

test('a path that cannot be listened on fails with the path', async () => {
  await using daemon = await served()
  const { socketPath, gate } = daemon
  const { log } = recordingLog()
  const again = startCriServer({ socketPath, runtimeService: daemon.services.table, imageService, gate, log })
  await expect(again).rejects.toThrow(`listen on the CRI socket ${socketPath}`)
})

/** A daemon with a call under way that ends when `finish` is called. */
async function servedSlowly() {
  const daemon = await served({ containers: [containerRecord()] })
  const { promise: started, resolve: start } = Promise.withResolvers<void>()
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>()
  daemon.services.containers.start = async () => {
    start()
    await finished
  }
  const answer = daemon.client.call('StartContainer', { container_id: 'c1' })
  answer.catch(() => undefined)
  await started
  return { daemon, answer, finish }
}

test('closing waits for the calls under way', async () => {
  const { daemon, answer, finish } = await servedSlowly()
  const closed = daemon.server.close(60_000)
  finish()
  expect(await answer).toEqual({})
  await closed
  await daemon[Symbol.asyncDispose]()
})

test('closing waits no longer than it was told to', async () => {
  const { daemon, answer, finish } = await servedSlowly()
  await daemon.server.close(0)
  await expect(answer).rejects.toMatchObject({ code: expect.any(Number) })
  finish()
  await daemon[Symbol.asyncDispose]()
})
