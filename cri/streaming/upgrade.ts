import type { IncomingMessage } from 'node:http'
import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { listed, negotiate, TUNNEL_PROTOCOL } from './protocols.ts'

/** A client that asks for another protocol than HTTP on its connection. */
export interface Upgrade {
  readonly request: IncomingMessage
  readonly socket: Duplex
  /** What came behind the request already. */
  readonly head: Buffer
}

/** Of one message: what a client writes in one piece is gathered before it is passed on. */
const MESSAGE_LIMIT_BYTES = 16 << 20
/** Of its own; how long a client gets is said in websocket-channels.ts. */
const CLOSE_TIMEOUT_MS = 3_600_000
/** How long a client that was refused may hold its half of the connection open. */
const LINGER_MS = 5_000
/** Stands in for the tunnel's name, which `ws` does not take for one. */
const TUNNEL_TOKEN = 'tunnel.portforward.k8s.io'

const websockets = new WebSocketServer({
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  maxPayload: MESSAGE_LIMIT_BYTES,
  ...{ closeTimeout: CLOSE_TIMEOUT_MS },
  handleProtocols: (_offered, request) => `${request.headers['sec-websocket-protocol']}`,
})
websockets.on('headers', (lines) => {
  lines.forEach((line, index) => {
    if (line.endsWith(`: ${TUNNEL_TOKEN}`)) lines[index] = line.replace(TUNNEL_TOKEN, TUNNEL_PROTOCOL)
  })
})

/** Which protocol the client and we speak; undefined when the client was refused, which it was told. */
export function agree(
  { request, socket }: Upgrade,
  served: { readonly websocket: readonly string[]; readonly spdy: readonly string[] },
): { readonly transport: 'websocket' | 'spdy'; readonly protocol: string } | undefined {
  const { upgrade = '', ...headers } = request.headers
  const transport = /^websocket$/i.test(upgrade) ? 'websocket' : /^spdy\/3\.1$/i.test(upgrade) ? 'spdy' : ''
  if (transport === '') {
    refuse(socket, 400, `cannot upgrade to ${JSON.stringify(upgrade)}: ask for SPDY/3.1 or websocket`)
    return undefined
  }
  const offered = listed(
    headers[transport === 'spdy' ? 'x-stream-protocol-version' : 'sec-websocket-protocol'],
  )
  const protocol = negotiate(offered.length > 0 || transport === 'spdy' ? offered : [''], served[transport])
  if (protocol !== undefined) return { transport, protocol }
  const message = `none of the protocols [${offered.join(', ')}] is served: ask for one of ${served[transport].filter(Boolean).join(', ')}`
  refuse(socket, 403, message, {
    'X-Accepted-Stream-Protocol-Versions': served[transport].filter(Boolean).join(', '),
  })
  return undefined
}

/** Answers the switch to SPDY; frames follow. */
export function switchToSpdy({ socket }: Upgrade, protocol: string): void {
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Connection: Upgrade',
    'Upgrade: SPDY/3.1',
    `X-Stream-Protocol-Version: ${protocol}`,
  ]
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
}

/**
 * Answers the switch to WebSocket and `open`s it before anything that has come behind the request is read from it.
 * Resolves to undefined when the request is none, which the client was told.
 */
export function switchToWebSocket<Opened>(
  { request, socket, head }: Upgrade,
  protocol: string,
  open: (socket: WebSocket) => Opened,
): Promise<Opened | undefined> {
  if (protocol === '') delete request.headers['sec-websocket-protocol']
  else request.headers['sec-websocket-protocol'] = protocol === TUNNEL_PROTOCOL ? TUNNEL_TOKEN : protocol
  return new Promise((resolve) => {
    socket.once('close', () => resolve(undefined))
    websockets.handleUpgrade(request, socket, head, (opened) => resolve(open(opened)))
  })
}

/** Answers an upgrade that is not served, and leaves the client a while to read that. */
export function refuse(
  socket: Duplex,
  code: number,
  message: string,
  headers: { readonly [name: string]: string } = {},
): void {
  const body = `${message}\n`
  const lines = [
    `HTTP/1.1 ${code} ${STATUS_CODES[code]}`,
    'Connection: close',
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ]
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`)
  socket.resume()
  setTimeout(() => socket.destroy(), LINGER_MS).unref()
}
