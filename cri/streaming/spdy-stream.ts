import { Duplex, finished } from 'node:stream'
import { resetStatus, SpdyReset } from './spdy-error.ts'
import type { SpdyHeaders } from './spdy-headers.ts'
import { ReceiveWindow, SendWindow } from './spdy-window.ts'

/** What a stream asks of its connection. */
export interface StreamLink {
  /** False: the socket has enough, the stream waits for `whenDrained` before it sends more. */
  sendData(id: number, chunk: Buffer, fin: boolean): boolean
  whenDrained(callback: () => void): void
  /** How much may be sent on a stream with this window: all there is, to a peer that does not count. */
  sendable(windowBytes: number): number
  sendReset(id: number, status: number): void
  sendWindowUpdate(id: number, deltaBytes: number): void
  /** The peer sent more than its window: it does not count. */
  overran(): void
  /** So much that came on streams was consumed or dropped. */
  consumed(bytes: number): void
  hold(stream: SpdyStream, before: number, now: number): void
  /** Both sides have ended. */
  forget(stream: SpdyStream): void
}

export interface StreamStart {
  readonly id: number
  readonly headers: SpdyHeaders
  readonly unidirectional: boolean
}

const DATA_LIMIT_BYTES = 64 * 1024
/** What a buffered piece costs beside its bytes: many small ones must not be free. */
const PIECE_BYTES = 512
/** A slice of less than this part of what was read is copied, so as not to keep the rest. */
const COPY_FRACTION = 4
const EMPTY = Buffer.alloc(0)

type Done = (error?: Error | null) => void

/**
 * One stream of a connection. The end of the readable is the peer's FIN; end() sends ours. It must be read,
 * resumed or destroyed: what nobody reads stops the whole connection. Nobody has to listen for its errors.
 */
export class SpdyStream extends Duplex {
  readonly id: number
  readonly headers: SpdyHeaders
  readonly #link: StreamLink
  readonly #sendWindow: SendWindow
  readonly #receiveWindow = new ReceiveWindow()
  #isAccepted = false
  #isRemoteOpen = true
  #isLocalOpen: boolean
  #isResetByPeer = false
  #resetStatus: number = resetStatus.cancel
  /** The write that is under way, and what of it is not sent. */
  #unsent: Buffer = EMPTY
  #done: Done | undefined
  #awaitsDrain = false
  #unreadBytes = 0
  /** How many pieces came since nothing was unread. */
  #pieces = 0
  #heldBytes = 0

  constructor(link: StreamLink, { id, headers, unidirectional }: StreamStart, windowBytes: number) {
    super()
    this.id = id
    this.headers = headers
    this.#link = link
    this.#sendWindow = new SendWindow(windowBytes)
    this.#isLocalOpen = !unidirectional
    this.on('error', () => {})
    if (unidirectional) this.end()
  }

  /** Whether the peer has reset it: then its error is a SpdyReset. */
  get isResetByPeer(): boolean {
    return this.#isResetByPeer
  }

  /** Tells the peer, if a side is still open, and destroys both sides. */
  reset(status: number = resetStatus.cancel): void {
    this.#resetStatus = status
    this.destroy()
  }

  /** Resolves once what was written until now (with the end, if it was) is with the socket, or never will be. */
  flushed(): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#isLocalOpen) resolve()
      else if (this.writableEnded) finished(this, { readable: false }, () => resolve())
      else this.write(EMPTY, () => resolve())
    })
  }

  /** For the connection: SYN_REPLY is sent, so what was written in the meantime may follow. */
  accept(): void {
    this.#isAccepted = true
    this.pump()
  }

  /** For the connection: data, or the end, came. */
  receive(chunk: Buffer, fin: boolean): void {
    if (!this.#isRemoteOpen) {
      this.#link.consumed(chunk.length)
      this.reset(resetStatus.streamAlreadyClosed)
      return
    }
    if (!this.#receiveWindow.receive(chunk.length)) this.#link.overran()
    if (chunk.length > 0) {
      this.#unreadBytes += chunk.length
      this.#pieces += 1
      this.push(compact(chunk))
      this.#account()
    }
    if (fin && this.#isRemoteOpen) {
      this.#isRemoteOpen = false
      this.push(null)
      this.#forgetIfEnded()
    }
  }

  /** For the connection: RST_STREAM came. */
  receiveReset(status: number): void {
    this.#isResetByPeer = true
    this.abandon(new SpdyReset(this.id, status))
  }

  /** For the connection: nothing can be sent or told any more. */
  abandon(error: Error): void {
    this.#isRemoteOpen = false
    this.#isLocalOpen = false
    this.destroy(error)
  }

  /** For the connection: the peer's window has changed. */
  grow(deltaBytes: number): void {
    this.#sendWindow.grow(deltaBytes)
  }

  /** For the connection: sends what may be sent. */
  pump(): void {
    while (this.#done !== undefined && this.#isAccepted && !this.#awaitsDrain) {
      if (this.#unsent.length === 0) {
        this.#settle()
        continue
      }
      const size = Math.min(
        this.#unsent.length,
        DATA_LIMIT_BYTES,
        this.#link.sendable(this.#sendWindow.bytes),
      )
      if (size <= 0) return
      const slice = this.#unsent.subarray(0, size)
      this.#unsent = this.#unsent.subarray(size)
      this.#sendWindow.take(size)
      if (!this.#link.sendData(this.id, slice, false)) this.#awaitDrain()
    }
  }

  override read(size?: number): unknown {
    const chunk: unknown = super.read(size)
    this.#account()
    return chunk
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Done): void {
    this.#begin(chunk, callback)
  }

  override _final(callback: Done): void {
    if (!this.#isLocalOpen) {
      callback()
      return
    }
    this.#begin(EMPTY, (error) => {
      if (this.#isLocalOpen) this.#link.sendData(this.id, EMPTY, true)
      this.#isLocalOpen = false
      this.#forgetIfEnded()
      callback(error)
    })
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (this.#isRemoteOpen || this.#isLocalOpen) this.#link.sendReset(this.id, this.#resetStatus)
    this.#isRemoteOpen = false
    this.#isLocalOpen = false
    this.#forgetIfEnded()
    this.#account()
    this.#settle(error ?? new Error(`stream ${this.id} was closed`))
    callback(error)
  }

  #begin(chunk: Buffer, done: Done): void {
    this.#unsent = chunk
    this.#done = done
    this.pump()
  }

  #settle(error?: Error): void {
    const done = this.#done
    this.#done = undefined
    this.#unsent = EMPTY
    done?.(error)
  }

  #awaitDrain(): void {
    this.#awaitsDrain = true
    this.#link.whenDrained(() => {
      this.#awaitsDrain = false
      this.pump()
    })
  }

  /** Tells the connection what was read since the last time, and what is held. */
  #account(): void {
    const unreadBytes = this.destroyed ? 0 : this.readableLength
    const consumedBytes = this.#unreadBytes - unreadBytes
    this.#unreadBytes = unreadBytes
    if (unreadBytes === 0) this.#pieces = 0
    const heldBytes = unreadBytes + this.#pieces * PIECE_BYTES
    if (heldBytes !== this.#heldBytes) this.#link.hold(this, this.#heldBytes, heldBytes)
    this.#heldBytes = heldBytes
    if (consumedBytes === 0) return
    this.#link.consumed(consumedBytes)
    const grantedBytes = this.#receiveWindow.consume(consumedBytes)
    if (grantedBytes > 0 && this.#isRemoteOpen) this.#link.sendWindowUpdate(this.id, grantedBytes)
  }

  #forgetIfEnded(): void {
    if (!this.#isRemoteOpen && !this.#isLocalOpen) this.#link.forget(this)
  }
}

const compact = (chunk: Buffer): Buffer =>
  chunk.length * COPY_FRACTION < chunk.buffer.byteLength ? Buffer.from(chunk) : chunk
