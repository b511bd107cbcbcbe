import { rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { text } from 'node:stream/consumers'
import { CriError, describeError, invalidArgument } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import { IMAGES_PATH, IMPORT_PATH, importRequest, statusOf } from './protocol.ts'

/** What the admin socket asks of the image store. */
export interface AdminImages {
  /** Reads an OCI or docker-archive tarball of this host; `name` goes over those in it. */
  importArchive(
    path: string,
    name: string | undefined,
  ): Promise<readonly { readonly id: string; readonly names: readonly string[] }[]>
  list(): readonly {
    readonly id: string
    readonly tags: readonly string[]
    readonly digests: readonly string[]
    readonly sizeBytes: number
  }[]
}

const BODY_LIMIT_BYTES = 64 << 10

/**
 * Serves the CLI's own commands on a socket that only its owner may open, until it is disposed of.
 * A stale socket is removed: the caller holds the state directory's lock.
 */
export async function serveAdmin(
  socketPath: string,
  { images, log }: { readonly images: AdminImages; readonly log: Log },
): Promise<AsyncDisposable> {
  const server = createServer((request, response) => {
    answer(request, images, log).then(
      ({ status, body }) => {
        response.writeHead(status, { 'content-type': 'application/json', connection: 'close' })
        response.end(JSON.stringify(body))
      },
      (error: unknown) => log.error({ err: error }, 'an admin call got no answer'),
    )
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

interface Answer {
  readonly status: number
  readonly body: unknown
}

async function answer(request: IncomingMessage, images: AdminImages, log: Log): Promise<Answer> {
  const { method = '', url = '/' } = request
  const startedMs = performance.now()
  const fields = () => ({ method, url, durationMs: Math.round(performance.now() - startedMs) })
  try {
    const body = await route(`${method} ${url.split('?')[0]}`, request, images)
    log.info(fields(), 'admin call served')
    return { status: 200, body }
  } catch (error) {
    log.warn({ ...fields(), err: error }, 'admin call failed')
    const kind = error instanceof CriError ? error.kind : 'internal'
    return { status: statusOf[kind], body: { kind, message: describeError(error) } }
  }
}

async function route(call: string, request: IncomingMessage, images: AdminImages): Promise<unknown> {
  switch (call) {
    case `POST ${IMPORT_PATH}`: {
      const { searchParams } = new URL(request.url ?? '', 'unix://admin')
      return await images.importArchive(await archivePath(request), searchParams.get('name') ?? undefined)
    }
    case `GET ${IMAGES_PATH}`:
      return images.list()
    default:
      throw new CriError('unimplemented', `${call}: this daemon knows no such call; is the command newer?`)
  }
}

async function archivePath(request: IncomingMessage): Promise<string> {
  const sizeBytes = Number(request.headers['content-length'] ?? Number.NaN)
  if (!(sizeBytes <= BODY_LIMIT_BYTES)) {
    throw invalidArgument(`a request has a content-length of at most ${BODY_LIMIT_BYTES} bytes`)
  }
  const body = await text(request)
  try {
    return importRequest.parse(JSON.parse(body)).path
  } catch (cause) {
    throw invalidArgument('the body of an import is {"path": "/an/absolute/path"}', { cause })
  }
}
