import { once } from 'node:events'
import { request } from 'node:http'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { WebSocket } from 'ws'
import type { CommandStreams } from '#runtime/monitor-port.ts'
import type { PodConnection } from '#runtime/pod-ports-port.ts'
import { recordingLog } from '../recording-log.ts'
import { type StreamingOptions, startStreamingServer } from './server.ts'

export type Exec = (streams: CommandStreams, gone: AbortSignal, command: readonly string[]) => Promise<number>

/** For tests: a server on loopback whose commands are functions. */
export async function streamingLab(
  given: Partial<StreamingOptions> & {
    readonly exec?: Exec
    readonly attach?: (streams: CommandStreams, gone: AbortSignal) => Promise<void>
    readonly connect?: (port: number) => Promise<PodConnection>
  } = {},
) {
  const { exec = async () => 0, attach = async () => {}, connect, ...options } = given
  const { log, lines } = recordingLog()
  const server = await startStreamingServer({
    ...{ address: '127.0.0.1', port: 0, tls: undefined, idleTimeoutMs: 0, log },
    commands: {
      exec: (_id, { command }, streams, gone) => exec(streams, gone, command),
      attach: (_id, streams, gone) => attach(streams, gone),
    },
    sandboxes: {
      connect: (_id, port) => connect?.(port) ?? Promise.reject(new Error(`nobody listens on ${port}`)),
    },
    ...options,
  })
  return {
    lines,
    execUrl: (wanted: Partial<Record<'stdin' | 'stdout' | 'stderr' | 'tty', boolean>> = { stdout: true }) =>
      server.urlFor({
        ...{ kind: 'exec', containerId: 'c1', command: ['run'] },
        streams: { stdin: false, stdout: false, stderr: false, tty: false, ...wanted },
      }),
    attachUrl: () =>
      server.urlFor({
        ...{ kind: 'attach', containerId: 'c1' },
        streams: { stdin: true, stdout: true, stderr: true, tty: false },
      }),
    portForwardUrl: (ports: readonly number[] = []) =>
      server.urlFor({ kind: 'portforward', sandboxId: 's1', ports }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

/** A client that keeps what comes by channel; base64 is decoded. */
export async function openWebSocket(url: string, protocol: string, options: WebSocket.ClientOptions = {}) {
  const socket = new WebSocket(url.replace(/^http/, 'ws'), protocol === '' ? [] : [protocol], options)
  const isText = protocol.includes('base64')
  const channels = new Map<number, Buffer[]>()
  const closed = new Promise<readonly [code: number, reason: string]>((resolve) => {
    socket.once('close', (code, reason) => resolve([code, `${reason}`]))
  })
  socket.on('message', (message: Buffer) => {
    const number = isText ? Number(String.fromCharCode(message[0] ?? 0)) : (message[0] ?? 0)
    const data = isText ? Buffer.from(`${message.subarray(1)}`, 'base64') : message.subarray(1)
    channels.set(number, [...(channels.get(number) ?? []), data])
  })
  await once(socket, 'open')
  return {
    socket,
    closed,
    send: (channel: number, text: string) =>
      socket.send(
        isText
          ? `${channel}${Buffer.from(text).toString('base64')}`
          : Buffer.from(`\0${text}`).fill(channel, 0, 1),
      ),
    endInput: (channel: number) => socket.send(Buffer.from([255, channel])),
    received: (channel: number): string => `${Buffer.concat(channels.get(channel) ?? [])}`,
    channels,
  }
}

export interface Answer {
  readonly status: number
  readonly headers: { readonly [name: string]: string | string[] | undefined }
  readonly body: string
  /** Where the upgrade was served. */
  readonly upgraded?: { readonly socket: Duplex; readonly head: Buffer }
}

/** A request that asks for an upgrade, or without `upgrade` for none. */
export function ask(
  url: string,
  headers: { readonly [name: string]: string } = {},
  method = 'POST',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request(url, { method, headers: { ...headers } })
    call.on('error', reject)
    call.on('upgrade', ({ statusCode = 0, headers: answered }, socket, head) =>
      resolve({ status: statusCode, headers: answered, body: '', upgraded: { socket, head } }),
    )
    call.on('response', (response) => {
      const { statusCode: status = 0, headers: answered } = response
      text(response).then((body) => resolve({ status, headers: answered, body }), reject)
    })
    call.end()
  })
}

export const spdyHeaders = (protocols: string) => ({
  Connection: 'Upgrade',
  Upgrade: 'SPDY/3.1',
  'X-Stream-Protocol-Version': protocols,
})
