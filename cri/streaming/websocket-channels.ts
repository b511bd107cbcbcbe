import { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { fairShare } from '#lib/fair-share.ts'
import { hasChannelClose, isBase64 } from './protocols.ts'

const CLOSE_CHANNEL = 255
const NORMAL_CLOSURE = 1000
const PROTOCOL_ERROR = 1002
/** How long a client may be silent before it has answered the end of a connection, and how long it may take in all. */
const CLOSE_TIMEOUT_MS = 30_000
const CLOSE_LIMIT_MS = 600_000
/** How often a client that is not read is written to: one that has gone is found out by that alone. */
const PROBE_MS = 5_000
const ZERO = '0'.charCodeAt(0)

/**
 * Streams in one WebSocket (k8s.io/streaming, wsstream): a message is the channel's number and its data, in the base64
 * protocols the number's digit and the data as base64.
 */
export class WebSocketChannels {
  readonly #socket: WebSocket
  readonly #isText: boolean
  readonly #channels: readonly Channel[]
  readonly #gone = new AbortController()
  #closing = false
  #waitsForTurn = false
  readonly #hasHadItsShare = fairShare(() => {
    this.#waitsForTurn = false
    this.#flow()
  })

  /** `readable` are the numbers of those that the client writes to; what it writes to another is dropped. */
  constructor(socket: WebSocket, count: number, readable: readonly number[]) {
    this.#socket = socket
    this.#isText = isBase64(socket.protocol)
    this.#channels = Array.from(
      { length: count },
      (_, number) =>
        new Channel({
          ...{ number, isText: this.#isText, isReadable: readable.includes(number) },
          send: (message, done) => socket.send(message, done),
          flow: () => this.#flow(),
        }),
    )
    socket.on('message', (data: Buffer) => this.#receive(data))
    socket.on('error', () => socket.terminate())
    const probe = setInterval(() => socket.isPaused && socket.ping(), PROBE_MS)
    socket.on('close', () => {
      clearInterval(probe)
      this.#end()
    })
  }

  get gone(): AbortSignal {
    return this.#gone.signal
  }

  channel(number: number): Duplex {
    const channel = this.#channels[number]
    if (channel === undefined) throw new Error(`there is no channel ${number}`)
    return channel
  }

  sendEmpty(number: number): void {
    this.#socket.send(this.#isText ? `${number}` : Buffer.from([number]), () => {})
  }

  /** What still comes is dropped. */
  async close(): Promise<void> {
    this.#closing = true
    const { promise, resolve } = Promise.withResolvers<void>()
    if (this.#socket.readyState === this.#socket.CLOSED) return
    const silence = setTimeout(() => this.#socket.terminate(), CLOSE_TIMEOUT_MS)
    const limit = setTimeout(() => this.#socket.terminate(), CLOSE_LIMIT_MS)
    this.#socket.on('message', () => silence.refresh())
    this.#socket.once('close', () => {
      clearTimeout(silence)
      clearTimeout(limit)
      resolve()
    })
    this.#socket.resume()
    this.#socket.close(NORMAL_CLOSURE)
    await promise
  }

  #end(): void {
    this.#gone.abort()
    for (const channel of this.#channels) channel.destroy()
  }

  #receive(message: Buffer): void {
    const [first, second] = message
    if (first === undefined || this.#closing) return
    if (first === CLOSE_CHANNEL && hasChannelClose(this.#socket.protocol)) {
      const channel = message.length === 2 ? this.#channels[second ?? -1] : undefined
      if (channel === undefined) this.#socket.close(PROTOCOL_ERROR, 'no channel to be closed')
      else channel.endInput()
      return
    }
    this.#waitsForTurn = this.#hasHadItsShare(message.length)
    const data = message.subarray(1)
    const channel = this.#channels[this.#isText ? first - ZERO : first]
    channel?.receive(this.#isText ? Buffer.from(data.toString('latin1'), 'base64') : data)
    this.#flow()
  }

  /** One channel that is full holds up the others: they share the connection. */
  #flow(): void {
    const isFull = this.#channels.some((channel) => channel.isFull) && !this.#closing
    if (isFull || this.#waitsForTurn) this.#socket.pause()
    else this.#socket.resume()
  }
}

interface ChannelOptions {
  readonly number: number
  readonly isText: boolean
  readonly isReadable: boolean
  readonly send: (message: Buffer | string, done: (error?: Error | null) => void) => void
  /** Called when the channel has been read from. */
  readonly flow: () => void
}

class Channel extends Duplex {
  readonly #options: ChannelOptions
  #ended: boolean
  #message = Buffer.alloc(0)
  isFull = false

  constructor(options: ChannelOptions) {
    super({ allowHalfOpen: true, autoDestroy: false })
    this.#options = options
    this.#ended = !options.isReadable
    if (this.#ended) this.push(null)
    this.on('error', () => {}) // Its client has gone: who uses it asks for that by `destroyed`.
  }

  receive(data: Buffer): void {
    if (this.#ended || this.destroyed || data.length === 0) return
    this.isFull = !this.push(data)
  }

  endInput(): void {
    if (this.#ended || this.destroyed) return
    this.#ended = true
    this.push(null)
  }

  override _read(): void {
    if (!this.isFull) return
    this.isFull = false
    this.#options.flow()
  }

  override _write(data: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    const { number, isText, send } = this.#options
    if (isText) send(`${number}${data.toString('base64')}`, done)
    else send(this.#messageOf(data), done)
  }

  /** In the channel's own buffer, which is free again once a message is sent: the next one is written then. */
  #messageOf(data: Buffer): Buffer {
    if (this.#message.length <= data.length) this.#message = Buffer.allocUnsafeSlow(data.length + 1)
    this.#message[0] = this.#options.number
    data.copy(this.#message, 1)
    return this.#message.subarray(0, data.length + 1)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.isFull = false
    done(error)
  }
}
