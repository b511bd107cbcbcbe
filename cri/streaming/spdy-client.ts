import type { Duplex } from 'node:stream'
import * as encode from './spdy-encode.ts'
import { SpdyError, SpdyReset } from './spdy-error.ts'
import { type Frame, FrameReader } from './spdy-frames.ts'
import { HeaderCompressor } from './spdy-headers.ts'

/** One stream of a SpdyClient: what came on it is kept. */
export class ClientStream {
  readonly id: number
  readonly #send: (bytes: Buffer) => void
  readonly #chunks: Buffer[] = []
  readonly #replied = Promise.withResolvers<void>()
  readonly #ended = Promise.withResolvers<Buffer>()

  constructor(id: number, send: (bytes: Buffer) => void) {
    this.id = id
    this.#send = send
    this.#replied.promise.catch(() => {})
    this.#ended.promise.catch(() => {})
  }

  /** Rejects with SpdyReset when the stream is refused. */
  get replied(): Promise<void> {
    return this.#replied.promise
  }

  /** Everything that was received, once the server has ended its side. */
  get ended(): Promise<Buffer> {
    return this.#ended.promise
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  write(data: string | Buffer, fin = false): void {
    const bytes = Buffer.from(data)
    this.#send(encode.encodeDataHead(this.id, bytes.length, fin))
    this.#send(bytes)
  }

  end(): void {
    this.write('', true)
  }

  reset(status: number): void {
    this.#send(encode.encodeRstStream(this.id, status))
  }

  /** For the client: a frame of this stream came. */
  handle(frame: Frame): void {
    if (frame.type === 'syn-reply') this.#replied.resolve()
    if (frame.type === 'rst-stream') this.fail(new SpdyReset(this.id, frame.status))
    if (frame.type === 'data') this.#chunks.push(frame.chunk)
    if ('fin' in frame && frame.fin) this.#ended.resolve(this.received)
  }

  fail(error: Error): void {
    this.#replied.reject(error)
    this.#ended.reject(error)
  }
}

/** A client for tests: it sends what it is told, also what is wrong, and keeps every frame but data. */
export class SpdyClient {
  readonly socket: Duplex
  readonly frames: Frame[] = []
  readonly #reader = new FrameReader()
  readonly #compressor = new HeaderCompressor()
  readonly #streams = new Map<number, ClientStream>()
  readonly #waiting = new Set<() => void>()
  #nextId = 1

  /** Closes when the server does, unless it `lingers`. */
  constructor(socket: Duplex, lingers = false) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      for (const frame of this.#reader.push(chunk)) this.#handle(frame)
      for (const check of this.#waiting) check()
    })
    socket.on('error', () => {})
    const fail = (): void => {
      for (const stream of this.#streams.values())
        stream.fail(new SpdyError('the server closed the connection'))
    }
    socket.once('end', () => {
      fail()
      if (!lingers) socket.end()
    })
    socket.once('close', fail)
  }

  open(headers: { readonly [name: string]: string } = {}, flags: encode.StreamFlags = {}): ClientStream {
    const stream = new ClientStream(this.#nextId, (bytes) => this.send(bytes))
    this.#nextId += 2
    this.#streams.set(stream.id, stream)
    this.send(this.synStream(stream.id, headers, flags))
    return stream
  }

  /** A frame that opens any stream, to be sent in the order of making. */
  synStream(
    id: number,
    headers: { readonly [name: string]: string } = {},
    flags: encode.StreamFlags = {},
  ): Buffer {
    return encode.encodeSynStream(id, this.#compressor.compress(new Map(Object.entries(headers))), flags)
  }

  headers(id: number, headers: { readonly [name: string]: string }, flags: encode.StreamFlags = {}): void {
    this.send(encode.encodeHeaders(id, this.#compressor.compress(new Map(Object.entries(headers))), flags))
  }

  send(bytes: Buffer): void {
    this.socket.write(bytes)
  }

  /** Resolves when a ping was answered: everything sent before it was handled. */
  async ping(id = 1): Promise<void> {
    const answers = (): number =>
      this.frames.filter((frame) => frame.type === 'ping' && frame.id === id).length
    const before = answers()
    this.send(encode.encodePing(id))
    await this.until(() => answers() > before)
  }

  /** Resolves when it is so, looked at after everything that comes. */
  until(isSo: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!isSo()) return
        this.#waiting.delete(check)
        resolve()
      }
      this.#waiting.add(check)
      check()
    })
  }

  #handle(frame: Frame): void {
    if (frame.type !== 'data') this.frames.push(frame)
    if ('id' in frame) this.#streams.get(frame.id)?.handle(frame)
  }
}
