import type { Duplex } from 'node:stream'
import { encodeGoAway, encodePing } from './spdy-encode.ts'
import { goAwayStatus, SpdyError } from './spdy-error.ts'
import { type Frame, FrameReader } from './spdy-frames.ts'
import { SpdyIntake } from './spdy-intake.ts'
import { SpdyOutput } from './spdy-output.ts'
import type { SpdyStream } from './spdy-stream.ts'
import { SpdyStreams } from './spdy-streams.ts'

export interface SpdyLimits {
  /** More open streams than this are refused. */
  readonly maxStreams: number
  /** What one stream may hold unread before nothing more is read from the client. */
  readonly streamBufferBytes: number
  /** What all streams together may hold. */
  readonly connectionBufferBytes: number
}

export const defaultSpdyLimits: SpdyLimits = {
  maxStreams: 4096,
  streamBufferBytes: 1 << 20,
  connectionBufferBytes: 16 << 20,
}

export interface SpdyOptions {
  /** Answers whether the stream is taken; what it writes meanwhile is sent after SYN_REPLY. */
  readonly onStream: (stream: SpdyStream) => boolean
  /** Nothing received or sent for this long ends the connection; pings count. 0: never. */
  readonly idleTimeoutMs: number
  /** Called at the first time of that instead: who is told may still say why it ends, and close. */
  readonly onIdle?: () => void
  readonly limits?: Partial<SpdyLimits>
}

/** Nothing of what is left to send went out for so long: the client does not read. */
const STUCK_MS = 30_000
/** How long the client has to close after we have. */
const LINGER_MS = 30_000
/** Also from a client that is never silent, no more is read after this. */
const LINGER_LIMIT_MS = 600_000
/** How often a client that is not read is written to: one that has gone is found out by that alone. */
const PROBE_MS = 5_000

/**
 * The server's side of SPDY/3.1, as Kubernetes' clients speak it, on a socket that was upgraded.
 *
 *   open ──close()──▶ what was written is sent ──▶ GOAWAY and the end ──the peer closes, or 3 s──▶ closed
 *     └──the client has gone: `gone` aborts, streams are destroyed ──close(), or the peer's end──▶ ⋯
 */
export class SpdyConnection {
  /** Resolves when the socket is closed. */
  readonly closed: Promise<void>
  readonly #socket: Duplex
  readonly #idleTimeoutMs: number
  readonly #reader = new FrameReader()
  readonly #output: SpdyOutput
  readonly #intake: SpdyIntake
  readonly #streams: SpdyStreams
  readonly #gone = new AbortController()
  readonly #idle: NodeJS.Timeout | undefined
  #deadline: NodeJS.Timeout | undefined
  #limit: NodeJS.Timeout | undefined
  readonly #probe: NodeJS.Timeout
  #lastPing = 0
  #tellIdle: (() => void) | undefined
  #closing: Promise<void> | undefined
  /** What comes is dropped: the client has gone, or we have. */
  #isDeaf = false

  constructor(socket: Duplex, head: Buffer, options: SpdyOptions) {
    const limits = { ...defaultSpdyLimits, ...options.limits }
    this.#socket = socket
    this.#idleTimeoutMs = options.idleTimeoutMs
    this.#tellIdle = options.onIdle
    this.#output = new SpdyOutput(socket, () => this.#idle?.refresh())
    this.#intake = new SpdyIntake(socket, limits.streamBufferBytes, limits.connectionBufferBytes)
    this.#streams = new SpdyStreams(this.#output, this.#intake, options.onStream, limits.maxStreams)
    if (options.idleTimeoutMs > 0) this.#idle = setTimeout(() => this.#onIdle(), options.idleTimeoutMs)
    this.closed = new Promise((resolve) => {
      if (socket.closed) resolve()
      else socket.once('close', () => resolve())
    })
    this.#probe = setInterval(() => this.#probeUnread(), PROBE_MS)
    void this.closed.then(() => this.#onClosed())
    socket.on('error', (cause) => this.#lose(new SpdyError('the connection failed', { cause })))
    socket.once('end', () => this.#onPeerEnd())
    socket.on('drain', () => this.#onDrain())
    socket.on('data', (chunk: Buffer) => this.#onChunk(chunk))
    if (head.length > 0) socket.unshift(head)
    socket.resume()
  }

  /** Aborts when the client has gone: GOAWAY, a closed or failed socket, a broken protocol, idleness. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /**
   * Sends what was written, then GOAWAY, then the socket's end; what still comes is read and dropped until the
   * peer closes (unread, it would make the kernel reset what the client has not read yet), or is silent for 30 s:
   * then the kernel delivers the rest by itself.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  destroy(): void {
    this.#socket.destroy()
  }

  async #close(): Promise<void> {
    this.#destroyIn(STUCK_MS)
    this.#intake.forgetHeld()
    await Promise.race([this.#streams.flush(), this.closed])
    this.#end()
    await this.closed
  }

  #end(): void {
    this.#isDeaf = true
    this.#streams.abandon(new SpdyError('the connection was closed'))
    this.#output.end(encodeGoAway(this.#streams.lastId, goAwayStatus.ok), () => {
      this.#destroyIn(LINGER_MS)
      this.#limit = setTimeout(() => this.destroy(), LINGER_LIMIT_MS)
    })
    this.#intake.drain()
  }

  /** The client has gone: nobody is at the other end of the streams. */
  #lose(reason: Error): void {
    this.#isDeaf = true
    this.#gone.abort(reason)
    this.#streams.abandon(reason)
    this.#intake.drain()
  }

  #fail(error: Error): void {
    const status = error instanceof SpdyError ? goAwayStatus.protocolError : goAwayStatus.internalError
    this.#lose(error)
    this.#output.sendControl(encodeGoAway(this.#streams.lastId, status))
    this.destroy()
  }

  #onChunk(chunk: Buffer): void {
    this.#intake.received(chunk.length)
    if (this.#isDeaf) {
      this.#deadline?.refresh()
      return
    }
    this.#idle?.refresh()
    try {
      this.#output.together(() => this.#handle(chunk))
    } catch (thrown) {
      this.#fail(thrown instanceof Error ? thrown : new Error(String(thrown)))
    }
  }

  #handle(chunk: Buffer): void {
    for (const frame of this.#reader.push(chunk)) {
      if (this.#isDeaf) return
      this.#onFrame(frame)
    }
  }

  #onFrame(frame: Frame): void {
    if (frame.type === 'goaway') this.#lose(new SpdyError('the client has left'))
    else this.#streams.handle(frame)
  }

  /** While its input waits, its end waits behind it; what is sent to nobody comes back as a reset. */
  #probeUnread(): void {
    if (!this.#intake.isPaused) return
    this.#lastPing += 2 // Ours are even.
    this.#output.sendControl(encodePing(this.#lastPing))
  }

  #onDrain(): void {
    this.#intake.drained()
    this.#deadline?.refresh()
  }

  #onPeerEnd(): void {
    this.#lose(new SpdyError('the client closed the connection'))
    this.#end()
    this.#destroyIn(LINGER_MS)
  }

  #onIdle(): void {
    const tell = this.#tellIdle
    this.#tellIdle = undefined
    if (tell !== undefined && this.#closing === undefined) {
      this.#idle?.refresh()
      tell()
      return
    }
    this.#lose(new SpdyError(`nothing was received or sent for ${this.#idleTimeoutMs} ms`))
    if (this.#closing === undefined) void this.close()
    else this.destroy()
  }

  #onClosed(): void {
    clearTimeout(this.#idle)
    clearTimeout(this.#deadline)
    clearTimeout(this.#limit)
    clearInterval(this.#probe)
    this.#lose(new SpdyError('the connection is closed'))
  }

  #destroyIn(ms: number): void {
    clearTimeout(this.#deadline)
    if (!this.#socket.closed) this.#deadline = setTimeout(() => this.destroy(), ms)
  }
}
