import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, isIPv6, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SecureVersion } from 'node:tls'
import { CriError, describeError, errnoOf } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import type { CommandService, SandboxService } from '#runtime/services.ts'
import { type StreamingRequest, serveSession } from './session.ts'
import { Tokens } from './tokens.ts'
import { refuse } from './upgrade.ts'

/** Certificate and key in PEM; another object once either has changed. */
export type Certificates = () => { readonly cert: Buffer; readonly key: Buffer }

export interface StreamingOptions {
  /** An IP address; clients of a wildcard are told the loopback address. */
  readonly address: string
  /** 0: any free one. */
  readonly port: number
  readonly tls: { readonly certificates: Certificates; readonly minVersion: SecureVersion } | undefined
  /** A connection on which nothing comes and goes for so long is ended. */
  readonly idleTimeoutMs: number
  readonly sandboxes: Pick<SandboxService, 'connect'>
  readonly commands: Pick<CommandService, 'exec' | 'attach'>
  readonly log: Log
}

/** Where exec, attach and port-forward are served: the CRI answers a URL, and a client (kubelet's proxy) connects to it. */
export interface StreamingServer extends AsyncDisposable {
  /** A URL that is good once, for a minute; throws resource-exhausted while too many are open. */
  urlFor(request: StreamingRequest): string
}

const KEEP_ALIVE_MS = 30_000
/** How long clients are told why their sessions end. */
const FAREWELL_MS = 1_000

/** Throws unavailable when the address can't be listened on. */
export async function startStreamingServer(options: StreamingOptions): Promise<StreamingServer> {
  const { log } = options
  const tokens = new Tokens<StreamingRequest>()
  const sockets = new Set<Duplex>()
  const stopping = new AbortController()
  const server = options.tls === undefined ? createServer() : tlsServer(options.tls, log)
  server.on('request', (_, response) => {
    response.writeHead(400, { 'Content-Type': 'text/plain; charset=utf-8', Connection: 'close' })
    response.end('this is no page: exec, attach and port-forward need an upgrade to SPDY/3.1 or websocket\n')
  })
  server.on('connection', (socket: Socket) => {
    socket.setNoDelay(true)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
  })
  server.on('upgrade', (request, socket, head) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => {}) // A client that goes is no failure of ours; `close` follows.
    const [, kind, token = ''] = /^\/(exec|attach|portforward)\/([\w-]+)$/.exec(request.url ?? '') ?? []
    const wanted = tokens.take(token)
    if (wanted === undefined || wanted.kind !== kind) {
      refuse(socket, 404, 'no such URL: each is good once, for a minute; ask the CRI for another')
      return
    }
    const session = { ...options, stopping: stopping.signal }
    serveSession(wanted, { request, socket, head }, session).catch((error: unknown) => {
      log.info({ kind, err: describeError(error) }, 'a streaming session failed')
      socket.destroy()
    })
  })
  await listen(server, options)
  const base = baseUrl(server, options)
  log.info({ url: base }, 'serving exec, attach and port-forward')
  return {
    urlFor: (request) => `${base}/${request.kind}/${tokens.add(request)}`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      stopping.abort(new CriError('unavailable', 'cri-ts is stopping: run it again when it has started anew'))
      await allClosed(sockets, FAREWELL_MS)
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

async function allClosed(sockets: ReadonlySet<Duplex>, withinMs: number): Promise<void> {
  const closed = [...sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve)))
  await Promise.race([Promise.all(closed), sleep(withinMs, undefined, { ref: false })])
}

function tlsServer({ certificates, minVersion }: NonNullable<StreamingOptions['tls']>, log: Log): Server {
  let current = certificates()
  const server = createTlsServer({ ...current, minVersion })
  // Before the handshake of each connection: a name to choose a certificate by (SNI) comes with no IP address.
  server.prependListener('connection', () => {
    try {
      const now = certificates()
      if (now === current) return
      server.setSecureContext({ ...now, minVersion })
      current = now
    } catch (error) {
      log.warn(
        { err: describeError(error) },
        'the streaming certificate was not read anew: the old one is used',
      )
    }
  })
  return server
}

function listen(server: Server, { address, port }: StreamingOptions): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', (cause) => {
    const remedy =
      errnoOf(cause) === 'EADDRNOTAVAIL'
        ? 'set streaming.address to an address of this host'
        : 'set streaming.port to one that is free, or to 0 for any'
    const message = `exec, attach and port-forward cannot be served on ${address} port ${port}: ${remedy}`
    reject(new CriError('unavailable', message, { cause }))
  })
  server.listen({ host: address, port }, resolve)
  return promise
}

function baseUrl(server: Server, { address, tls }: StreamingOptions): string {
  const host = { '0.0.0.0': '127.0.0.1', '::': '::1' }[address] ?? address
  const { port } = server.address() as AddressInfo
  return `${tls === undefined ? 'http' : 'https'}://${isIPv6(host) ? `[${host}]` : host}:${port}`
}
