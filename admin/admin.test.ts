import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { CriError } from '#lib/errors.ts'
import { adminClient, adminSocket } from './client.ts'
import { type AdminRoutes, serveAdmin } from './server.ts'

const quiet = { debug() {}, info() {}, warn() {}, error() {} }

function stateDirectory(): string {
  const state = mkdtempSync(join(tmpdir(), 'admin-'))
  onTestFinished(() => rmSync(state, { recursive: true, force: true }))
  return state
}

const echo = z.strictObject({ text: z.string() })

async function served(routes: AdminRoutes = {}) {
  const socketPath = adminSocket(stateDirectory())
  const all: AdminRoutes = {
    'GET /v1/query': ({ query }) => [...query],
    'POST /v1/echo': async ({ body }) => body(echo, '{text}'),
    ...routes,
  }
  const server = await serveAdmin(socketPath, { routes: all, log: quiet })
  onTestFinished(() => server[Symbol.asyncDispose]())
  return { socketPath, client: adminClient(socketPath) }
}

async function linesOf(lines: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = []
  for await (const line of lines) all.push(line)
  return all
}

function post(socketPath: string, path: string, body: string, headers = {}): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const length = { 'content-length': Buffer.byteLength(body), ...headers }
    request({ socketPath, method: 'POST', path, headers: length, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
      .on('error', reject)
      .end(body)
  })
}

test('a call has its query and its body, and is answered in JSON', async () => {
  const { client } = await served()
  const text = 'a b?&=ü'
  expect(await client.call('GET', `/v1/query?${new URLSearchParams({ text })}`)).toEqual([['text', text]])
  expect(await client.call('POST', '/v1/echo', { text })).toEqual({ text })
})

test('lines come one by one, as they are made', async () => {
  const next = Promise.withResolvers<void>()
  const { client } = await served({
    async *'POST /v1/lines'({ body }) {
      yield await body(echo, '{text}')
      await next.promise
      yield { number: 2 }
    },
  })
  const lines = client.lines('POST', '/v1/lines', { text: 'first' })
  expect((await lines.next()).value).toEqual({ text: 'first' })
  next.resolve()
  expect(await linesOf(lines)).toEqual([{ number: 2 }])
})

test('lines that nobody takes are not made: the maker waits', async () => {
  let made = 0
  const ended = Promise.withResolvers<void>()
  const { client } = await served({
    async *'GET /v1/lines'() {
      try {
        for (; made < 10_000; made += 1) yield 'x'.repeat(64 << 10)
      } finally {
        ended.resolve()
      }
    },
  })
  const lines = client.lines('GET', '/v1/lines')
  await lines.next()
  await lines.return(undefined)
  await ended.promise
  expect(made).toBeLessThan(10_000)
})

test('a failure before the first line is as any other, one behind it comes in the last line', async () => {
  const { client } = await served({
    async *'GET /v1/early'({ query }) {
      if (query.size === 0) throw new CriError('not-found', 'nothing here')
      yield 1
    },
    async *'GET /v1/late'() {
      yield 1
      throw new CriError('unavailable', 'cut', { cause: new Error('by a test') })
    },
  })
  await expect(linesOf(client.lines('GET', '/v1/early'))).rejects.toMatchObject({ kind: 'not-found' })
  const late = client.lines('GET', '/v1/late')
  expect((await late.next()).value).toBe(1)
  await expect(late.next()).rejects.toMatchObject({ kind: 'unavailable', message: 'cut: by a test' })
})

test('a client that hangs up aborts its call, one that has its answer does not', async () => {
  const aborted = Promise.withResolvers<void>()
  const signals: AbortSignal[] = []
  const { client } = await served({
    'GET /v1/quick': ({ signal }) => signals.push(signal),
    async *'GET /v1/endless'({ signal }) {
      signal.addEventListener('abort', () => aborted.resolve())
      yield 1
      await aborted.promise
    },
  })
  const lines = client.lines('GET', '/v1/endless')
  await lines.next()
  await lines.return(undefined)
  await aborted.promise
  await client.call('GET', '/v1/quick')
  expect(signals[0]?.aborted).toBe(false)
})

test('lines that end because the daemon is killed are no success', async () => {
  const socketPath = adminSocket(stateDirectory())
  const other = createServer((_, response) => {
    response.write('1\n', () => response.destroy())
  })
  await new Promise<void>((resolve) => other.listen(socketPath, resolve))
  onTestFinished(() => void other.close())
  await expect(linesOf(adminClient(socketPath).lines('GET', '/'))).rejects.toMatchObject({
    kind: 'unavailable',
  })
})

test('only its owner may open the socket, and other files are made as before', async () => {
  const umask = process.umask()
  const { socketPath } = await served()
  expect(statSync(socketPath).mode & 0o777).toBe(0o600)
  expect(process.umask()).toBe(umask)
})

test("the daemon's error comes over with its kind, message and causes", async () => {
  const { client } = await served({
    'GET /v1/fails': () => {
      throw new CriError('not-found', 'import /a.tar', { cause: new Error('no such file') })
    },
  })
  await expect(client.call('GET', '/v1/fails')).rejects.toMatchObject({
    kind: 'not-found',
    message: 'import /a.tar: no such file',
  })
})

test('a bug of the daemon is told as an internal error', async () => {
  const { client } = await served({
    'GET /v1/bug': () => Promise.reject(new TypeError('x is undefined')),
  })
  await expect(client.call('GET', '/v1/bug')).rejects.toMatchObject({ kind: 'internal' })
})

test('a body that is another is refused without being quoted, and the next one is served', async () => {
  const { client, socketPath } = await served()
  expect(await post(socketPath, '/v1/echo', 'not JSON')).toBe(400)
  expect(await post(socketPath, '/v1/echo', '{"text":"a","more":1}')).toBe(400)
  expect(await post(socketPath, '/v1/echo', ' '.repeat((64 << 10) + 1))).toBe(400)
  expect(await post(socketPath, '/v1/other', '{}')).toBe(501)
  expect(await post(socketPath, '/toString', '{}')).toBe(501)
  const refused = client.call('POST', '/v1/echo', { text: { password: 's3cret' } })
  await expect(refused).rejects.toThrow('the body of this call is {text}')
  await expect(refused).rejects.not.toThrow('s3cret')
  expect(await client.call('POST', '/v1/echo', { text: '' })).toEqual({ text: '' })
})

test('without a daemon the socket and the remedy are named', async () => {
  const socketPath = adminSocket(stateDirectory())
  await expect(adminClient(socketPath).call('GET', '/v1/query')).rejects.toMatchObject({
    kind: 'unavailable',
    message: expect.stringContaining(`${socketPath}: start it with \`cri-ts serve\``),
  })
})

test('a socket that a killed daemon left behind is replaced', async () => {
  const socketPath = adminSocket(stateDirectory())
  writeFileSync(socketPath, '')
  await using _server = await serveAdmin(socketPath, { routes: { 'GET /v1/query': () => [] }, log: quiet })
  expect(await adminClient(socketPath).call('GET', '/v1/query')).toEqual([])
})

test('a socket that cannot be made is an error that names it', async () => {
  const socketPath = adminSocket(join(stateDirectory(), 'missing'))
  const serving = serveAdmin(socketPath, { routes: { 'GET /v1/query': () => [] }, log: quiet })
  await expect(serving).rejects.toThrow(`the admin socket ${socketPath} can't be made`)
})

test('a server that is disposed of leaves no socket, and calls under way do not hold it up', async () => {
  const socketPath = adminSocket(stateDirectory())
  const called = Promise.withResolvers<void>()
  const routes: AdminRoutes = {
    'GET /v1/hangs': () => {
      called.resolve()
      return new Promise(() => {})
    },
  }
  const server = await serveAdmin(socketPath, { routes, log: quiet })
  const hanging = adminClient(socketPath).call('GET', '/v1/hangs')
  const outcome = expect(hanging).rejects.toMatchObject({ kind: 'unavailable' })
  await called.promise
  await server[Symbol.asyncDispose]()
  await outcome
  expect(statSync(socketPath, { throwIfNoEntry: false })).toBeUndefined()
})
