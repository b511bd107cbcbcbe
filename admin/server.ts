import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import type { z } from 'zod'
import { CriError, describeError, invalidArgument } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import { LINES, statusOf } from './protocol.ts'

export interface AdminCall {
  readonly query: URLSearchParams
  /** Aborts when the client hangs up before it has its answer. */
  readonly signal: AbortSignal
  /** The body; throws invalid-argument, which says what it is to be, where it is another. */
  body<Shape>(shape: z.ZodType<Shape>, whatItIs: string): Promise<Shape>
}

/** Its result is answered as JSON, that of an async generator line by line as it comes. */
export type AdminHandler = (call: AdminCall) => unknown

/** What the socket serves, by `METHOD /path`. */
export type AdminRoutes = { readonly [call: string]: AdminHandler }

const BODY_LIMIT_BYTES = 64 << 10

/**
 * Serves the CLI's own commands on a socket that only its owner may open, until it is disposed of.
 * A stale socket is removed: the caller holds the state directory's lock.
 */
export async function serveAdmin(
  socketPath: string,
  { routes, log }: { readonly routes: AdminRoutes; readonly log: Log },
): Promise<AsyncDisposable> {
  const server = createServer((request, response) => {
    answer(request, response, routes, log).catch((error: unknown) => {
      log.error({ err: error }, 'an admin call got no answer')
      response.destroy()
    })
  })
  rmSync(socketPath, { force: true })
  await listenAsOwner(server, socketPath)
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

/** The socket is made inside `listen`, before it returns: there is no moment at which others could open it. */
async function listenAsOwner(server: Server, socketPath: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  const before = process.umask(0o177)
  try {
    server.listen(socketPath, resolve)
  } finally {
    process.umask(before)
  }
  try {
    await promise
  } catch (cause) {
    throw new CriError('failed-precondition', `the admin socket ${socketPath} can't be made`, { cause })
  }
  server.off('error', reject)
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  routes: AdminRoutes,
  log: Log,
): Promise<void> {
  const { method = '', url = '/' } = request
  const startedMs = performance.now()
  const fields = () => ({ method, url, durationMs: Math.round(performance.now() - startedMs) })
  try {
    const signal = hangup(response)
    const result = await serve(request, signal, routes)
    if (isAsyncIterable(result)) await sendLines(result, response, signal)
    else send(response, 200, result)
    log.info(fields(), 'admin call served')
  } catch (error) {
    log.warn({ ...fields(), err: error }, 'admin call failed')
    const kind = error instanceof CriError ? error.kind : 'internal'
    const failure = { kind, message: describeError(error) }
    if (response.headersSent) response.end(`${JSON.stringify({ failure })}\n`)
    else send(response, statusOf[kind], failure)
  }
}

function serve(request: IncomingMessage, signal: AbortSignal, routes: AdminRoutes): unknown {
  const { method = '', url = '/' } = request
  const { pathname, searchParams } = new URL(url, 'unix://admin')
  const name = `${method} ${pathname}`
  const handler = Object.hasOwn(routes, name) ? routes[name] : undefined
  if (handler === undefined) {
    throw new CriError('unimplemented', `${name}: this daemon knows no such call; is the command newer?`)
  }
  const body: AdminCall['body'] = (shape, whatItIs) => readBody(request, shape, whatItIs)
  return handler({ query: searchParams, signal, body })
}

function hangup(response: ServerResponse): AbortSignal {
  const controller = new AbortController()
  response.on('close', () => {
    if (!response.writableFinished) controller.abort(new CriError('cancelled', 'the client hung up'))
  })
  return controller.signal
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' })
  response.end(JSON.stringify(body))
}

/** The status is sent with the first line: what fails before fails as any other call. */
async function sendLines(
  lines: AsyncIterable<unknown>,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  for await (const line of lines) {
    if (!response.headersSent) response.writeHead(200, { 'content-type': LINES, connection: 'close' })
    if (!response.write(`${JSON.stringify(line)}\n`)) await once(response, 'drain', { signal })
  }
  response.end()
}

const isAsyncIterable = (value: unknown): value is AsyncIterable<unknown> =>
  typeof value === 'object' && value !== null && Symbol.asyncIterator in value

async function readBody<Shape>(
  request: IncomingMessage,
  shape: z.ZodType<Shape>,
  whatItIs: string,
): Promise<Shape> {
  const sizeBytes = Number(request.headers['content-length'] ?? Number.NaN)
  if (!(sizeBytes <= BODY_LIMIT_BYTES)) {
    throw invalidArgument(`a request has a content-length of at most ${BODY_LIMIT_BYTES} bytes`)
  }
  const parsed = shape.safeParse(jsonOf(await text(request)))
  if (parsed.success) return parsed.data
  throw invalidArgument(`the body of this call is ${whatItIs}`, { cause: parsed.error })
}

/** Undefined for what is none; an error of JSON.parse would quote the text, which may hold a password. */
function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
