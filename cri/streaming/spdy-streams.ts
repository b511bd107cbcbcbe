import { encodePing, encodeRstStream, encodeSynReply, encodeWindowUpdate } from './spdy-encode.ts'
import { resetStatus, SpdyError } from './spdy-error.ts'
import { type Frame, INITIAL_WINDOW_SETTING } from './spdy-frames.ts'
import { HeaderCompressor } from './spdy-headers.ts'
import type { SpdyIntake } from './spdy-intake.ts'
import type { SpdyOutput } from './spdy-output.ts'
import { SpdyStream, type StreamLink } from './spdy-stream.ts'
import { INITIAL_WINDOW_BYTES, ReceiveWindow, SendWindow, WINDOW_LIMIT_BYTES } from './spdy-window.ts'

type FrameOf<Type extends Frame['type']> = Extract<Frame, { readonly type: Type }>

const EMPTY = Buffer.alloc(0)
const noHeaders = new Map<string, string>()

/**
 * The streams of a connection, and what frames do to them.
 *
 * Clients of Kubernetes neither count windows nor update ours. So a window binds us once the peer has shown that
 * it counts, and the peer is told of ours until it has shown that it does not.
 */
export class SpdyStreams {
  readonly #output: SpdyOutput
  readonly #intake: SpdyIntake
  readonly #onStream: (stream: SpdyStream) => boolean
  readonly #maxStreams: number
  readonly #link: StreamLink
  readonly #compressor = new HeaderCompressor()
  readonly #open = new Map<number, SpdyStream>()
  readonly #sessionSend = new SendWindow(INITIAL_WINDOW_BYTES)
  readonly #sessionReceive = new ReceiveWindow()
  #streamWindowBytes = INITIAL_WINDOW_BYTES
  #countsStreams = false
  #countsSession = false
  #ignoresWindows = false
  #isClosing = false
  #lastId = 0

  constructor(
    output: SpdyOutput,
    intake: SpdyIntake,
    onStream: (stream: SpdyStream) => boolean,
    maxStreams: number,
  ) {
    this.#output = output
    this.#intake = intake
    this.#onStream = onStream
    this.#maxStreams = maxStreams
    this.#link = this.#linkOf()
  }

  /** The last the client has opened: older ones are known, or were. */
  get lastId(): number {
    return this.#lastId
  }

  /** Takes no more streams and drops what comes on the open ones; resolves once they have sent what they had. */
  async flush(): Promise<void> {
    this.#isClosing = true
    await Promise.all([...this.#open.values()].map((stream) => stream.flushed()))
  }

  /** Destroys all: the peer is told nothing. */
  abandon(error: Error): void {
    for (const stream of this.#open.values()) stream.abandon(error)
  }

  /** Throws SpdyError when the connection cannot go on. */
  handle(frame: Exclude<Frame, FrameOf<'goaway'>>): void {
    switch (frame.type) {
      case 'data':
        this.#data(frame)
        break
      case 'syn-stream':
        this.#synStream(frame)
        break
      case 'headers':
        if (frame.fin) this.#open.get(frame.id)?.receive(EMPTY, true)
        break
      case 'rst-stream':
        this.#open.get(frame.id)?.receiveReset(frame.status)
        break
      case 'window-update':
        this.#windowUpdate(frame)
        break
      case 'settings':
        this.#settings(frame)
        break
      case 'ping':
        // An even id answers a ping of ours, which was sent to see whether it can be.
        if (frame.id % 2 === 1) this.#reply(encodePing(frame.id))
        break
      case 'syn-reply':
        // It would answer a stream of ours: there are none.
        break
    }
  }

  #synStream(frame: FrameOf<'syn-stream'>): void {
    const { id } = frame
    if (id % 2 === 0 || id <= this.#lastId) {
      const known = this.#open.get(id)
      if (known === undefined) this.#reply(encodeRstStream(id, resetStatus.protocolError))
      else known.reset(resetStatus.protocolError)
      return
    }
    this.#lastId = id
    if (this.#isClosing || this.#open.size >= this.#maxStreams) {
      this.#reply(encodeRstStream(id, resetStatus.refusedStream))
      return
    }
    const stream = new SpdyStream(this.#link, frame, this.#streamWindowBytes)
    this.#open.set(id, stream)
    if (frame.fin) stream.receive(EMPTY, true)
    if (!this.#onStream(stream)) {
      stream.reset(resetStatus.refusedStream)
    } else if (!stream.destroyed) {
      // Who opened a stream in one direction only must not be sent anything on it.
      if (!frame.unidirectional) this.#reply(encodeSynReply(id, this.#compressor.compress(noHeaders)))
      stream.accept()
    }
  }

  #data({ id, chunk, fin }: FrameOf<'data'>): void {
    const stream = this.#open.get(id)
    if (stream === undefined || this.#isClosing) this.#consumed(chunk.length)
    if (stream !== undefined) stream.receive(this.#isClosing ? EMPTY : chunk, fin)
    else if (id % 2 === 0 || id > this.#lastId) this.#reply(encodeRstStream(id, resetStatus.invalidStream))
  }

  #windowUpdate({ id, deltaBytes }: FrameOf<'window-update'>): void {
    if (id === 0) {
      this.#countsSession = true
      this.#sessionSend.grow(deltaBytes)
    } else {
      this.#countsStreams = true
      this.#open.get(id)?.grow(deltaBytes)
    }
    this.#pump()
  }

  #settings({ settings }: FrameOf<'settings'>): void {
    const bytes = settings.get(INITIAL_WINDOW_SETTING)
    if (bytes === undefined) return
    if (bytes > WINDOW_LIMIT_BYTES) throw new SpdyError('the initial flow control window is over 2 GiB')
    this.#countsStreams = true
    for (const stream of this.#open.values()) stream.grow(bytes - this.#streamWindowBytes)
    this.#streamWindowBytes = bytes
    this.#pump()
  }

  #pump(): void {
    for (const stream of this.#open.values()) stream.pump()
  }

  #reply(frame: Buffer): void {
    const waitingBytes = this.#output.sendControl(frame)
    if (waitingBytes > 0) this.#intake.replyWaits(waitingBytes)
  }

  #consumed(bytes: number): void {
    const grantedBytes = this.#sessionReceive.consume(bytes)
    if (grantedBytes > 0) this.#windowUpdateFor(0, grantedBytes)
  }

  #windowUpdateFor(id: number, deltaBytes: number): void {
    if (!this.#ignoresWindows) this.#reply(encodeWindowUpdate(id, deltaBytes))
  }

  #linkOf(): StreamLink {
    return {
      sendData: (id, chunk, fin) => {
        this.#sessionSend.take(chunk.length)
        return this.#output.sendData(id, chunk, fin)
      },
      whenDrained: (callback) => this.#output.whenDrained(callback),
      sendable: (windowBytes) =>
        Math.min(
          this.#countsStreams ? windowBytes : Number.POSITIVE_INFINITY,
          this.#countsSession ? this.#sessionSend.bytes : Number.POSITIVE_INFINITY,
        ),
      sendReset: (id, status) => this.#reply(encodeRstStream(id, status)),
      sendWindowUpdate: (id, deltaBytes) => this.#windowUpdateFor(id, deltaBytes),
      overran: () => {
        this.#ignoresWindows = true
      },
      consumed: (bytes) => this.#consumed(bytes),
      hold: (stream, before, now) => this.#intake.hold(stream, before, now),
      forget: (stream) => {
        if (this.#open.get(stream.id) === stream) this.#open.delete(stream.id)
      },
    }
  }
}
