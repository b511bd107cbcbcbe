import { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { hasChannelClose, isBase64 } from './protocols.ts'

const CLOSE_CHANNEL = 255
const NORMAL_CLOSURE = 1000
const PROTOCOL_ERROR = 1002
/** How long a client may take to answer the end of a connection. */
const CLOSE_TIMEOUT_MS = 3_000
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

  /** `readable` are the numbers of those that the client writes to; what it writes to another is dropped. */
  constructor(socket: WebSocket, count: number, readable: readonly number[]) {
    this.#socket = socket
    this.#isText = isBase64(socket.protocol)
    this.#channels = Array.from(
      { length: count },
      (_, number) =>
        new Channel({
          isReadable: readable.includes(number),
          send: (data, done) => this.#send(number, data, done),
          flow: () => this.#flow(),
        }),
    )
    socket.on('message', (data: Buffer) => this.#receive(data))
    socket.on('error', () => socket.terminate())
    socket.on('close', () => this.#end())
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
    this.#send(number, Buffer.alloc(0), () => {})
  }

  /** What still comes is dropped. */
  async close(): Promise<void> {
    this.#closing = true
    const { promise, resolve } = Promise.withResolvers<void>()
    if (this.#socket.readyState === this.#socket.CLOSED) return
    const timer = setTimeout(() => this.#socket.terminate(), CLOSE_TIMEOUT_MS)
    this.#socket.once('close', () => {
      clearTimeout(timer)
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

  #send(number: number, data: Buffer, done: (error?: Error | null) => void): void {
    if (this.#isText) {
      this.#socket.send(String.fromCharCode(ZERO + number) + data.toString('base64'), done)
      return
    }
    const message = Buffer.allocUnsafe(data.length + 1)
    message[0] = number
    data.copy(message, 1)
    this.#socket.send(message, done)
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
    const data = message.subarray(1)
    const channel = this.#channels[this.#isText ? first - ZERO : first]
    channel?.receive(this.#isText ? Buffer.from(data.toString('latin1'), 'base64') : data)
    this.#flow()
  }

  /** One channel that is full holds up the others: they share the connection. */
  #flow(): void {
    if (this.#channels.some((channel) => channel.isFull) && !this.#closing) this.#socket.pause()
    else this.#socket.resume()
  }
}

interface ChannelOptions {
  readonly isReadable: boolean
  readonly send: (data: Buffer, done: (error?: Error | null) => void) => void
  /** Called when the channel has been read from. */
  readonly flow: () => void
}

class Channel extends Duplex {
  readonly #options: ChannelOptions
  #ended: boolean
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
    this.#options.send(data, done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.isFull = false
    done(error)
  }
}
