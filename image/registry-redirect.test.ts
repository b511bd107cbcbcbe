import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { makeCertificates } from '#test/integration/registry-certificates.ts'
import type { RegistryEndpoint } from './registry-endpoint.ts'
import { type HttpRequest, RegistryConnections } from './registry-http.ts'

/** One port that speaks TLS and plain HTTP; /a of either redirects to where `redirectTo` says, /b is the goal. */
let host: string
let caPem: string
let redirectTo: string
let seen: { readonly url: string; readonly authorization: string | undefined }[]
const resources = new AsyncDisposableStack()

beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), 'cri-ts-http-'))
  resources.defer(() => rmSync(directory, { recursive: true }))
  const { caFile, server } = makeCertificates(directory)
  caPem = readFileSync(caFile, 'utf8')
  const serve = (scheme: string) => (request: IncomingMessage, response: ServerResponse) => {
    const { url = '', headers } = request
    seen.push({ url: `${scheme}${url}`, authorization: headers.authorization })
    if (url === '/a') response.writeHead(307, { location: redirectTo })
    response.end()
  }
  const pair = { cert: readFileSync(server.certFile), key: readFileSync(server.keyFile) }
  const tls = createHttpsServer(pair, serve('https:'))
  const plain = createHttpServer(serve('http:'))
  const both = createTcpServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('readable', () => {
      const first = socket.read() as Buffer | null
      if (first === null) return
      socket.unshift(first)
      const server = first[0] === 0x16 ? tls : plain
      server.emit('connection', socket)
    })
  })
  const { promise, resolve } = Promise.withResolvers<void>()
  both.listen(0, '127.0.0.1', resolve)
  await promise
  resources.defer(() => void both.close())
  host = `127.0.0.1:${(both.address() as AddressInfo).port}`
})
afterAll(() => resources.disposeAsync())
beforeEach(() => {
  seen = []
})

const timeouts = { connectMs: 5000, responseMs: 5000, stallMs: 5000 }

/** Sends to `from`/a with credentials by an endpoint at `root`, redirected to `to`/b; answers the final URL. */
async function sendTo(
  root: string,
  from: string,
  to: string,
  plainHttpFallback = false,
  what: Pick<HttpRequest, 'method' | 'body'> = { method: 'GET' },
): Promise<string> {
  const rootHost = root.endsWith(':') ? `${root}//${host}` : root
  redirectTo = `${to}//${host}/b`
  const endpoint: RegistryEndpoint = {
    root: new URL(`${rootHost}/v2`),
    ...{ registry: 'r', repository: 'a', isMirror: false, namespace: undefined, source: '' },
    canPull: true,
    canResolve: true,
    headers: {},
    tls: { caPems: [caPem], client: [], skipVerify: false },
    connectTimeoutMs: undefined,
    proxy: undefined,
    plainHttpFallback,
    hostsFile: '/etc/certs.d/r/hosts.toml',
  }
  using connections = new RegistryConnections(endpoint, timeouts)
  const signal = new AbortController().signal
  const headers = { authorization: 'Basic c2VjcmV0' }
  const url = new URL(`${from}//${host}/a`)
  const response = await connections.send({ ...what, url, headers }, signal)
  await connections.readAll(response, 100, signal)
  return `${response.url}`
}

test('a redirect from https to http is refused by name: neither credentials nor the request go there', async () => {
  await expect(sendTo('https:', 'https:', 'http:')).rejects.toThrow(
    `https://${host}/a: redirects to http://${host}/b, which is not secured: if that is meant, ` +
      'name the host with http:// in /etc/certs.d/r/hosts.toml',
  )
  expect(seen.map(({ url }) => url)).toEqual(['https:/a'])
})

test.for(['https:', 'http:'])(
  'what is sent in a body goes nowhere else: a redirect is refused by name, %s',
  async (scheme) => {
    const exchange = { method: 'POST', body: 'refresh_token=s3cret' } as const
    await expect(sendTo(scheme, scheme, scheme, false, exchange)).rejects.toMatchObject({
      kind: 'unavailable',
      message:
        `${scheme}//${host}/a: redirects to ${scheme}//${host}/b, ` +
        'but credentials in a body are sent only to the server that asked for them: it must answer itself',
    })
    expect(seen.map(({ url }) => url)).toEqual([`${scheme}/a`])
  },
)

test.for([
  ['https:', 'https:', 'https:', false],
  ['http:', 'http:', 'https:', false],
  ['http:', 'http:', 'http:', false],
  ['http:', 'https:', 'http:', false],
  ['https:', 'https:', 'http:', true],
] as const)(
  'credentials stay with their host: an endpoint by %s, from %s to %s',
  async ([root, from, to, fallback]) => {
    expect(await sendTo(root, from, to, fallback)).toBe(`${to}//${host}/b`)
    expect(seen.map(({ url }) => url)).toEqual([`${from}/a`, `${to}/b`])
    for (const { authorization } of seen) expect(authorization).toBe('Basic c2VjcmV0')
  },
)

test('a token server that is secured and redirects to itself in clear gets no credentials there', async () => {
  await sendTo('http://registry.test', 'https:', 'http:')
  expect(seen.map(({ authorization }) => authorization)).toEqual(['Basic c2VjcmV0', undefined])
})
