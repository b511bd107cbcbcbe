import { readFileSync } from 'node:fs'
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader'
import { describe, expect, test } from 'vitest'
import { fakeCall, fakeStatus } from '#cri/fake-services.ts'
import { imageService } from '#cri/image-service/service.ts'
import { runtimeService } from '#cri/runtime-service/service.ts'
import { StartGate } from '#cri/start-gate.ts'
import { CriError } from '#lib/errors.ts'
import { ImageServiceDefinition, RuntimeServiceDefinition } from '#proto/gen/runtime/v1/api.ts'
import { FakeImageStore } from '#test/fakes/fake-image-store.ts'
import { runtimeLab } from '#test/fakes/runtime-lab.ts'
import { apiFields, compareFields, withField } from './api-fields.ts'
import { wrongOfContainer, wrongOfUpdate } from './wrong-of-container.ts'
import { rightRequests, wrongOfRequests } from './wrong-of-requests.ts'
import { wrongOfPodUpdate, wrongOfSandbox } from './wrong-of-sandbox.ts'
import type { WrongTable } from './wrong-values.ts'

const methods = { ...RuntimeServiceDefinition.methods, ...ImageServiceDefinition.methods }
type Rpc = keyof typeof methods

const definitions = loadSync(new URL('../../proto/runtime/v1/api.proto', import.meta.url).pathname, {
  keepCase: true,
})

const tables: { readonly [rpc: string]: WrongTable } = {
  runPodSandbox: wrongOfSandbox,
  createContainer: wrongOfContainer,
  updateContainerResources: wrongOfUpdate,
  updatePodSandboxResources: wrongOfPodUpdate,
  ...wrongOfRequests,
}

interface Ids {
  readonly sandbox: string
  readonly container: string
  /** A container that is not started. */
  readonly created: string
}

const podConfig = (name: string) => ({ metadata: { name, namespace: 'default', uid: name, attempt: 0 } })
const containerConfig = (name: string) => ({ metadata: { name }, image: { image: 'sha256:1' } })

/** A request that is right, whose ids are those of what is there. */
function rightRequest(rpc: Rpc, { sandbox, container, created }: Ids): object {
  const fields = apiFields(messageOf(rpc))
  const ids = {
    ...(fields.includes('pod_sandbox_id') ? { pod_sandbox_id: sandbox } : {}),
    ...(fields.includes('container_id') ? { container_id: container } : {}),
  }
  if (rpc === 'startContainer') return { container_id: created }
  if (rpc === 'runPodSandbox') return { config: podConfig('other') }
  if (rpc === 'updateContainerResources') return { ...ids, linux: { cpu_shares: 2 } }
  if (rpc === 'updatePodSandboxResources') return { ...ids, overhead: { cpu_shares: 2 } }
  if (rpc !== 'createContainer') return { ...ids, ...rightRequests[rpc] }
  const mounts = [{ container_path: '/data', host_path: '/srv' }]
  const devices = [{ container_path: '/dev/null', host_path: '/dev/null', permissions: 'rw' }]
  return { ...ids, config: { ...containerConfig('other'), mounts, devices } }
}

/** Both services on a runtime whose ports are fakes: what is wrong is found by the conversion or by the domain. */
async function lab(): Promise<{
  readonly serve: (rpc: Rpc, request: object) => Promise<unknown>
  readonly ids: Ids
}> {
  const { runtime } = runtimeLab()
  const gate = new StartGate()
  gate.open()
  const streaming = { urlFor: () => '' }
  const puller = { pull: async () => 'sha256:pulled' }
  const table = {
    ...runtimeService({ ...runtime, streaming, status: fakeStatus(), gate }),
    ...imageService({
      store: new FakeImageStore(),
      puller,
      clock: { nowNs: () => '1' },
      handlers: [{ name: 'runc' }],
    }),
  }
  const serve = async (rpc: Rpc, request: object): Promise<unknown> => {
    const handle = table[rpc] as (request: object, call: object) => unknown
    const answer = await handle(decoded(rpc, request), fakeCall())
    return methods[rpc].responseStream ? await Array.fromAsync(answer as Iterable<unknown>) : answer
  }
  const sandbox = idOf(await serve('runPodSandbox', { config: podConfig('web'), runtime_handler: 'runc' }))
  const create = async (name: string) => {
    const config = { ...containerConfig(name), log_path: `${name}.log` }
    return idOf(await serve('createContainer', { pod_sandbox_id: sandbox, config }))
  }
  const [container, created] = [await create('nginx'), await create('created')]
  await serve('startContainer', { container_id: container })
  return { serve, ids: { sandbox, container, created } }
}

const idOf = (answer: unknown): string =>
  Object.values(answer as { readonly [field: string]: string })[0] ?? ''

const messageOf = (rpc: Rpc): string => `${methods[rpc].name}Request`

/** Over the wire: by the .proto file, and read by the generated code. */
function decoded(rpc: Rpc, fields: object): object {
  const definition = definitions[`runtime.v1.${messageOf(rpc)}`] as MessageTypeDefinition<object, object>
  const codec: { decode(bytes: Uint8Array): unknown } = methods[rpc].requestType
  return codec.decode(definition.serialize(fields)) as object
}

async function outcome(rpc: Rpc, values: { readonly [path: string]: unknown }): Promise<unknown> {
  const { serve, ids } = await lab()
  const request = Object.entries(values).reduce(
    (made, [path, value]) => withField(made, path, value),
    rightRequest(rpc, ids),
  )
  return await serve(rpc, request).then(
    () => 'served',
    (error: unknown) => (error instanceof CriError ? error : String(error)),
  )
}

/** As messages have it: `config` goes without saying, and what wraps a number or a state is that. */
const nameOf = (path: string): string =>
  path
    .replace(/^config\./, '')
    .replace(/(run_as_\w+)\.value$/, '$1')
    .replace(/\.state\.state$/, '.state')
const withoutIndexes = (text: string): string => text.replace(/\[\d+\]/g, '')

const rpcs = (Object.keys(methods) as Rpc[]).filter((rpc) => rpc !== 'getContainerEvents')

describe.for(rpcs)('%s', (rpc) => {
  const table = tables[rpc] ?? {}

  test('has every field in its table, and nothing else', () => {
    expect(compareFields(apiFields(messageOf(rpc)), Object.keys(table))).toEqual({ missing: [], unknown: [] })
  })

  const wrongs = Object.entries(table).flatMap(([path, row]) =>
    'wrong' in row
      ? row.wrong.map((value) => ({ path, value, shown: JSON.stringify(value), beside: row.beside ?? {} }))
      : [],
  )
  if (wrongs.length > 0) {
    test('serves what is right', async () => {
      expect(await outcome(rpc, {})).toBe('served')
    })
  }

  test.for(wrongs)('refuses $path as $shown', async ({ path, value, beside }) => {
    const error = await outcome(rpc, { ...beside, [path]: value })
    expect(error).toBeInstanceOf(CriError)
    const { kind, message } = error as CriError
    expect(kind).toBe('invalid-argument')
    expect(withoutIndexes(message)).toContain(nameOf(path))
  })

  test('what is refused elsewhere is so there', () => {
    for (const [path, row] of Object.entries(table)) {
      if (!('elsewhere' in row)) continue
      expect(readFileSync(new URL(`../../${row.elsewhere}`, import.meta.url), 'utf8'), path).toContain(
        row.test,
      )
    }
  })
})
