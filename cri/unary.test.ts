import { EventEmitter, once } from 'node:events'
import { type ServerUnaryCall, type ServiceError, status } from '@grpc/grpc-js'
import { expect, test } from 'vitest'
import { CriError, notFound } from '#lib/errors.ts'
import { recordingLog } from './recording-log.ts'
import { type Handler, unary } from './unary.ts'

const asIs = <Value>(value: Value): Value => value

/** Calls a handler as grpc-js does, and answers what the client would get. */
function serve<Request extends object, Response extends object>(
  method: string,
  request: Request,
  handle: Handler<Request, Response>,
  encode: (response: Response) => Response = asIs,
) {
  const { lines, log } = recordingLog()
  const call = Object.assign(new EventEmitter(), { request })
  const { promise, resolve } = Promise.withResolvers<Partial<ServiceError> | Response>()
  unary(
    method,
    handle,
    encode,
    log,
  )(call as unknown as ServerUnaryCall<Request, Response>, (error, response) =>
    resolve(error ?? (response as Response)),
  )
  return { answer: promise, call, lines }
}

test('a change is one line of info with the ids and names of both messages', async () => {
  const request = {
    podSandboxId: 's1',
    config: { metadata: { name: 'web' }, image: { image: 'nginx' } },
    sandboxConfig: { metadata: { name: 'pod', namespace: 'default' } },
  }
  const { answer, lines } = serve('CreateContainer', request, async () => ({ containerId: 'c1' }))
  expect(await answer).toEqual({ containerId: 'c1' })
  expect(lines).toEqual([
    {
      level: 'info',
      message: 'served',
      method: 'CreateContainer',
      sandboxId: 's1',
      containerId: 'c1',
      pod: 'default/pod',
      container: 'web',
      durationMs: expect.any(Number),
      code: 'OK',
    },
  ])
})

test.for(['ListContainers', 'ContainerStatus', 'Status', 'Version', 'ExecSync', 'ImageFsInfo'])(
  '%s, which only reads, is a line of debug',
  async (method) => {
    const { answer, lines } = serve(method, {}, () => ({}))
    await answer
    expect(lines).toEqual([expect.objectContaining({ level: 'debug', method })])
  },
)

test('credentials and environments of a request never reach the log', async () => {
  const request = {
    image: { image: 'registry/private' },
    auth: { username: 'me', password: 'hunter2', registryToken: 'hunter2' },
    config: { metadata: { name: 'a' }, envs: [{ key: 'PASSWORD', value: Buffer.from('hunter2') }] },
  }
  const failed = serve('PullImage', request, () => Promise.reject(new CriError('unauthenticated', 'no')))
  const served = serve('PullImage', request, () => ({ imageRef: 'sha256:1' }))
  await Promise.all([failed.answer, served.answer])
  const logged = JSON.stringify([...failed.lines, ...served.lines])
  expect(logged).not.toContain('hunter2')
  expect(logged).toContain('registry/private')
})

test('a foreseen failure is its status and a warning without a stack', async () => {
  const { answer, lines } = serve('StartContainer', { containerId: 'c1' }, () => {
    throw notFound('container', 'c1')
  })
  expect(await answer).toEqual({ code: status.NOT_FOUND, details: 'container c1 not found' })
  expect(lines).toEqual([
    expect.objectContaining({ level: 'warn', code: 'NOT_FOUND', error: 'container c1 not found' }),
  ])
  expect(lines[0]).not.toHaveProperty('stack')
})

test('what nobody foresaw is INTERNAL, with its stack in the log', async () => {
  const { answer, lines } = serve('StartContainer', {}, () => Promise.reject(new TypeError('x is undefined')))
  expect(await answer).toEqual({ code: status.INTERNAL, details: 'x is undefined' })
  expect(lines).toEqual([
    expect.objectContaining({ level: 'error', stack: expect.stringContaining('unary.test.ts') }),
  ])
})

test('a failed teardown is logged as an error, and the caller learns what went wrong first', async () => {
  const { answer, lines } = serve('RunPodSandbox', {}, () => {
    throw new SuppressedError(new Error('umount: EBUSY'), new CriError('unavailable', 'no address is free'))
  })
  expect(await answer).toEqual({ code: status.UNAVAILABLE, details: 'no address is free' })
  expect(lines).toEqual([
    expect.objectContaining({
      level: 'error',
      error: 'no address is free',
      teardown: ['umount: EBUSY'],
    }),
  ])
})

test('an answer that cannot be encoded is a failure like any other', async () => {
  const { answer, lines } = serve(
    'ListContainers',
    {},
    () => ({}),
    () => {
      throw new CriError('resource-exhausted', 'too big')
    },
  )
  expect(await answer).toEqual({ code: status.RESOURCE_EXHAUSTED, details: 'too big' })
  expect(lines).toHaveLength(1)
})

test('a client that hangs up aborts the signal of its call', async () => {
  const { answer, call } = serve('PullImage', {}, async (_, { signal }) => {
    await once(signal, 'abort')
    signal.throwIfAborted()
    return {}
  })
  call.emit('cancelled')
  expect(await answer).toMatchObject({ code: status.CANCELLED })
})
