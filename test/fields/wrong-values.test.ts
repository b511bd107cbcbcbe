import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader'
import { describe, expect, test } from 'vitest'
import { fakeCall, fakeStatus } from '#cri/fake-services.ts'
import { runtimeService } from '#cri/runtime-service/service.ts'
import { StartGate } from '#cri/start-gate.ts'
import { CriError } from '#lib/errors.ts'
import {
  CreateContainerRequest,
  RunPodSandboxRequest,
  UpdateContainerResourcesRequest,
  UpdatePodSandboxResourcesRequest,
} from '#proto/gen/runtime/v1/api.ts'
import { runtimeLab } from '#test/fakes/runtime-lab.ts'
import { apiFields, compareFields, withField } from './api-fields.ts'
import { wrongOfContainer, wrongOfUpdate } from './wrong-of-container.ts'
import { wrongOfPodUpdate, wrongOfSandbox } from './wrong-of-sandbox.ts'
import type { WrongTable } from './wrong-values.ts'

const definitions = loadSync(new URL('../../proto/runtime/v1/api.proto', import.meta.url).pathname, {
  keepCase: true,
})

const codecs = {
  RunPodSandboxRequest,
  CreateContainerRequest,
  UpdateContainerResourcesRequest,
  UpdatePodSandboxResourcesRequest,
}
type Message = keyof typeof codecs
type Method = 'runPodSandbox' | 'createContainer' | 'updateContainerResources' | 'updatePodSandboxResources'

interface Case {
  readonly method: Method
  readonly message: Message
  readonly table: WrongTable
  /** A request that is right, whose ids are those of what is there. */
  readonly right: (ids: { readonly sandbox: string; readonly container: string }) => object
}

const sandboxConfig = { metadata: { name: 'web', namespace: 'default', uid: 'u', attempt: 0 } }
const containerConfig = { metadata: { name: 'nginx' }, image: { image: 'sha256:1' } }

const cases: readonly Case[] = [
  {
    method: 'runPodSandbox',
    message: 'RunPodSandboxRequest',
    table: wrongOfSandbox,
    right: () => ({ config: { ...sandboxConfig, metadata: { ...sandboxConfig.metadata, attempt: 1 } } }),
  },
  {
    method: 'createContainer',
    message: 'CreateContainerRequest',
    table: wrongOfContainer,
    right: ({ sandbox }) => ({
      pod_sandbox_id: sandbox,
      config: {
        ...{ ...containerConfig, metadata: { name: 'other' } },
        mounts: [{ container_path: '/data', host_path: '/srv' }],
        devices: [{ container_path: '/dev/null', host_path: '/dev/null', permissions: 'rw' }],
      },
    }),
  },
  {
    method: 'updateContainerResources',
    message: 'UpdateContainerResourcesRequest',
    table: wrongOfUpdate,
    right: ({ container }) => ({ container_id: container, linux: { cpu_shares: 2 } }),
  },
  {
    method: 'updatePodSandboxResources',
    message: 'UpdatePodSandboxResourcesRequest',
    table: wrongOfPodUpdate,
    right: ({ sandbox }) => ({ pod_sandbox_id: sandbox, overhead: { cpu_shares: 2 } }),
  },
]

/** The service on a runtime whose ports are fakes: what is wrong is found by the conversion or by the domain. */
async function service() {
  const { runtime } = runtimeLab()
  const gate = new StartGate()
  gate.open()
  const table = runtimeService({
    ...runtime,
    streaming: { urlFor: () => '' },
    status: fakeStatus(),
    gate,
  })
  const { podSandboxId: sandbox } = await table.runPodSandbox(
    decoded('RunPodSandboxRequest', { config: sandboxConfig }),
    fakeCall(),
  )
  const request = decoded('CreateContainerRequest', { pod_sandbox_id: sandbox, config: containerConfig })
  const { containerId: container } = await table.createContainer(request, fakeCall())
  await table.startContainer({ containerId: container }, fakeCall())
  return { table, ids: { sandbox, container } }
}

/** Over the wire: by the .proto file, and read by the generated code. */
function decoded<Name extends Message>(
  name: Name,
  fields: object,
): ReturnType<(typeof codecs)[Name]['decode']> {
  const definition = definitions[`runtime.v1.${name}`] as MessageTypeDefinition<object, object>
  const codec: { decode(bytes: Uint8Array): unknown } = codecs[name]
  return codec.decode(definition.serialize(fields)) as ReturnType<(typeof codecs)[Name]['decode']>
}

async function refusal({ method, message, right }: Case, values: { readonly [path: string]: unknown }) {
  const { table, ids } = await service()
  const request = Object.entries(values).reduce(
    (made, [path, value]) => withField(made, path, value),
    right(ids),
  )
  const serve = table[method] as (request: object, call: object) => Promise<unknown>
  return await serve(decoded(message, request), fakeCall()).then(
    () => 'not refused',
    (error: unknown) => (error instanceof CriError ? error : String(error)),
  )
}

/** As messages have it: `config` goes without saying, and an Int64Value is its value. */
const nameOf = (path: string): string => path.replace(/^config\./, '').replace(/\.value$/, wrapped(path))
const wrapped = (path: string): string => (path.includes('run_as_') ? '' : '.value')
const withoutIndexes = (text: string): string => text.replace(/\[\d+\]/g, '')

describe.for(cases)('$message', (each) => {
  test('every field is in the table, and nothing else', () => {
    expect(compareFields(apiFields(each.message), Object.keys(each.table))).toEqual({
      missing: [],
      unknown: [],
    })
  })

  test('the request is right but for what is made wrong', async () => {
    expect(await refusal(each, {})).toBe('not refused')
  })

  const rows = Object.entries(each.table).flatMap(([path, row]) =>
    'any' in row
      ? []
      : row.wrong.map((value) => ({ path, value, shown: JSON.stringify(value), beside: row.beside ?? {} })),
  )
  test.for(rows)('$path is not $shown', async ({ path, value, beside }) => {
    const error = await refusal(each, { ...beside, [path]: value })
    expect(error).toBeInstanceOf(CriError)
    const { kind, message } = error as CriError
    expect(kind).toBe('invalid-argument')
    expect(withoutIndexes(message)).toContain(nameOf(path))
  })
})
