import type { Duplex } from 'node:stream'
import { createWebSocketStream, type WebSocket } from 'ws'
import { CriError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import type { CommandService, SandboxService } from '#runtime/services.ts'
import { type CommandChannels, type Run, serveCommand, type WantedStreams } from './command-session.ts'
import {
  SPDY_COMMAND_PROTOCOLS,
  SPDY_PORT_FORWARD_PROTOCOLS,
  TUNNEL_PROTOCOL,
  WEBSOCKET_COMMAND_PROTOCOLS,
  WEBSOCKET_PORT_FORWARD_PROTOCOLS,
} from './protocols.ts'
import { spdyCommand } from './spdy-command.ts'
import { SpdyConnection, type SpdyOptions } from './spdy-connection.ts'
import { spdyPortForward } from './spdy-port-forward.ts'
import { agree, refuse, switchToSpdy, switchToWebSocket, type Upgrade } from './upgrade.ts'
import { websocketCommand } from './websocket-command.ts'
import { websocketPortForward } from './websocket-port-forward.ts'

interface ExecRequest {
  readonly kind: 'exec'
  readonly containerId: string
  readonly command: readonly string[]
  readonly streams: WantedStreams
}

interface AttachRequest {
  readonly kind: 'attach'
  readonly containerId: string
  readonly streams: WantedStreams
}

interface PortForwardRequest {
  readonly kind: 'portforward'
  readonly sandboxId: string
  readonly ports: readonly number[]
}

/** What a URL was given for. */
export type StreamingRequest = ExecRequest | AttachRequest | PortForwardRequest

export interface SessionOptions {
  readonly idleTimeoutMs: number
  /** Aborts as the server ends; its reason is told to clients. */
  readonly stopping: AbortSignal
  /** Instead of dropping an idle connection at once. */
  readonly onIdle?: () => void
  readonly sandboxes: Pick<SandboxService, 'connect'>
  readonly commands: Pick<CommandService, 'exec' | 'attach'>
  readonly log: Log
}

/** Serves one client to its end. */
export async function serveSession(
  request: StreamingRequest,
  upgrade: Upgrade,
  options: SessionOptions,
): Promise<void> {
  if (request.kind === 'portforward') return servePortForward(request, upgrade, options)
  const idle = new AbortController()
  const { idleTimeoutMs, stopping } = options
  const onIdle = (): void => {
    const what = `nothing was received or sent for ${idleTimeoutMs / 1000} s: streaming.idle_timeout has ended the session`
    idle.abort(new CriError('deadline-exceeded', what))
  }
  const channels = await commandChannels(request.streams, upgrade, { ...options, onIdle })
  if (channels === undefined) return
  const { kind, containerId } = request
  const log = withFields(options.log, { kind, containerId })
  await serveCommand(channels, runOf(request, options), kind, AbortSignal.any([idle.signal, stopping]), log)
}

function runOf(request: ExecRequest | AttachRequest, { commands }: SessionOptions): Run {
  const { containerId } = request
  if (request.kind === 'attach') {
    return async (streams, gone) => {
      await commands.attach(containerId, streams, gone)
      return 0
    }
  }
  const { command, streams: wanted } = request
  return (streams, gone) => commands.exec(containerId, { command, tty: wanted.tty }, streams, gone)
}

async function commandChannels(
  wanted: WantedStreams,
  upgrade: Upgrade,
  options: SessionOptions,
): Promise<CommandChannels | undefined> {
  const agreed = agree(upgrade, { websocket: WEBSOCKET_COMMAND_PROTOCOLS, spdy: SPDY_COMMAND_PROTOCOLS })
  if (agreed === undefined) return undefined
  if (agreed.transport === 'spdy') {
    return spdyCommand(spdyOn(upgrade, agreed.protocol, options), agreed.protocol, wanted)
  }
  return openWebSocket(upgrade, agreed.protocol, options, (socket) => websocketCommand(socket, wanted))
}

async function servePortForward(
  { sandboxId, ports }: PortForwardRequest,
  upgrade: Upgrade,
  options: SessionOptions,
): Promise<void> {
  const served = { websocket: WEBSOCKET_PORT_FORWARD_PROTOCOLS, spdy: SPDY_PORT_FORWARD_PROTOCOLS }
  const agreed = agree(upgrade, served)
  if (agreed === undefined) return
  const { transport, protocol } = agreed
  const log = withFields(options.log, { kind: 'portforward', sandboxId, protocol })
  const connect = (port: number) => options.sandboxes.connect(sandboxId, port)
  if (transport === 'spdy') return spdyPortForward(spdyOn(upgrade, protocol, options), connect, log)
  if (protocol !== TUNNEL_PROTOCOL && ports.length === 0) {
    return refuse(
      upgrade.socket,
      400,
      `${protocol || 'this protocol'} forwards the ports of the CRI's request, which has none`,
    )
  }
  await openWebSocket(upgrade, protocol, options, (socket) => {
    if (protocol !== TUNNEL_PROTOCOL) return websocketPortForward(socket, ports, connect, log)
    const tunnel = createWebSocketStream(socket)
    return spdyPortForward(spdyIn(tunnel, Buffer.alloc(0), options), connect, log)
  })
}

function openWebSocket<Opened>(
  upgrade: Upgrade,
  protocol: string,
  { idleTimeoutMs, onIdle }: SessionOptions,
  open: (socket: WebSocket) => Opened,
): Promise<Opened | undefined> {
  return switchToWebSocket(upgrade, protocol, (socket) => {
    const tcp = upgrade.socket as Duplex & { setTimeout?: (ms: number, expired: () => void) => void }
    let tell = onIdle
    tcp.setTimeout?.(idleTimeoutMs, () => {
      if (tell === undefined) socket.terminate()
      else tell()
      tell = undefined // Who does not go when told is dropped the next time.
    })
    return open(socket)
  })
}

type OpenSpdy = (options: Pick<SpdyOptions, 'onStream'>) => SpdyConnection

function spdyOn(upgrade: Upgrade, protocol: string, options: SessionOptions): OpenSpdy {
  return (handlers) => {
    switchToSpdy(upgrade, protocol)
    return spdyIn(upgrade.socket, upgrade.head, options)(handlers)
  }
}

const spdyIn =
  (socket: Duplex, head: Buffer, { idleTimeoutMs, onIdle }: SessionOptions): OpenSpdy =>
  (handlers) =>
    new SpdyConnection(socket, head, {
      ...handlers,
      idleTimeoutMs,
      ...(onIdle === undefined ? {} : { onIdle }),
    })

/** Every line of a session says whose it is. */
function withFields(log: Log, fields: object): Log {
  const line =
    (level: keyof Log) =>
    (more: object, message: string): void =>
      log[level]({ ...fields, ...more }, message)
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
}
