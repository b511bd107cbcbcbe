import { SpdyError } from './spdy-error.ts'
import { HeaderDecompressor, type SpdyHeaders } from './spdy-headers.ts'

export type Frame =
  | {
      readonly type: 'syn-stream'
      readonly id: number
      readonly fin: boolean
      readonly unidirectional: boolean
      readonly headers: SpdyHeaders
    }
  | {
      readonly type: 'syn-reply' | 'headers'
      readonly id: number
      readonly fin: boolean
      readonly headers: SpdyHeaders
    }
  | { readonly type: 'rst-stream'; readonly id: number; readonly status: number }
  | { readonly type: 'settings'; readonly settings: ReadonlyMap<number, number> }
  | { readonly type: 'ping'; readonly id: number }
  | { readonly type: 'goaway'; readonly lastStreamId: number; readonly status: number }
  /** Stream 0 is the whole connection. */
  | { readonly type: 'window-update'; readonly id: number; readonly deltaBytes: number }
  /** A part of a DATA frame as it came; `fin` only with the last. It is a view of what was pushed. */
  | { readonly type: 'data'; readonly id: number; readonly chunk: Buffer; readonly fin: boolean }

export const VERSION = 3
/** Every frame begins with as much. */
export const HEAD_BYTES = 8
export const INITIAL_WINDOW_SETTING = 7

export const controlType = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  headers: 8,
  windowUpdate: 9,
} as const

export const flag = { fin: 1, unidirectional: 2 } as const

const CONTROL_LIMIT_BYTES = 64 * 1024
const ID_MASK = 0x7fff_ffff

/** How long the body of each type may be. */
const bodyBytes = new Map<number, readonly [least: number, most: number]>([
  [controlType.synStream, [10, CONTROL_LIMIT_BYTES]],
  [controlType.synReply, [4, CONTROL_LIMIT_BYTES]],
  [controlType.rstStream, [8, 8]],
  [controlType.settings, [4, CONTROL_LIMIT_BYTES]],
  [controlType.ping, [4, 4]],
  [controlType.goAway, [8, 8]],
  [controlType.headers, [4, CONTROL_LIMIT_BYTES]],
  [controlType.windowUpdate, [8, 8]],
])

interface Control {
  readonly type: number
  readonly flags: number
  readonly lengthBytes: number
}

/**
 * Takes one direction of a connection in pieces of any size and yields its frames. Holds at most one control
 * frame; data is handed on as it comes. Throws SpdyError for what is no SPDY/3, and is of no use afterwards.
 *
 *   head (8 bytes) ──▶ the body of a control frame, gathered ──▶ head …
 *                 └──▶ data, in slices ──▶ head …
 */
export class FrameReader {
  readonly #decompressor = new HeaderDecompressor()
  readonly #head = Buffer.alloc(HEAD_BYTES)
  #headLength = 0
  #control: Control | undefined
  /** The part of a control frame's body that came in earlier pieces. */
  #gathered: Buffer | undefined
  #gatheredLength = 0
  #dataId = 0
  #dataFin = false
  #dataLeft = 0;

  /** To be iterated to its end: what is not taken is lost. */
  *push(chunk: Buffer): Generator<Frame, void> {
    for (let at = 0; at < chunk.length; ) {
      if (this.#dataLeft > 0) {
        const slice = chunk.subarray(at, at + this.#dataLeft)
        at += slice.length
        this.#dataLeft -= slice.length
        yield this.#data(slice)
      } else if (this.#control === undefined) {
        const taken = chunk.copy(this.#head, this.#headLength, at)
        at += taken
        this.#headLength += taken
        if (this.#headLength === HEAD_BYTES) yield* this.#begin()
      } else {
        const body = this.#gather(this.#control, chunk, at)
        at += body.taken
        if (body.whole !== undefined) yield this.#endControl(this.#control, body.whole)
      }
    }
  }

  #data(chunk: Buffer): Frame {
    return { type: 'data', id: this.#dataId, chunk, fin: this.#dataFin && this.#dataLeft === 0 }
  }

  *#begin(): Generator<Frame, void> {
    this.#headLength = 0
    const word = this.#head.readUInt32BE(0)
    const flags = this.#head.readUInt8(4)
    const lengthBytes = this.#head.readUIntBE(5, 3)
    if (word > ID_MASK) {
      this.#control = controlOf(word & ID_MASK, flags, lengthBytes)
      return
    }
    this.#dataId = streamId(word)
    this.#dataFin = (flags & flag.fin) !== 0
    this.#dataLeft = lengthBytes
    if (lengthBytes === 0) yield this.#data(Buffer.alloc(0))
  }

  #gather({ lengthBytes }: Control, chunk: Buffer, at: number): { taken: number; whole?: Buffer } {
    if (this.#gathered === undefined && chunk.length - at >= lengthBytes) {
      return { taken: lengthBytes, whole: chunk.subarray(at, at + lengthBytes) }
    }
    this.#gathered ??= Buffer.alloc(lengthBytes)
    const taken = chunk.copy(this.#gathered, this.#gatheredLength, at)
    this.#gatheredLength += taken
    return this.#gatheredLength < lengthBytes ? { taken } : { taken, whole: this.#gathered }
  }

  #endControl({ type, flags }: Control, body: Buffer): Frame {
    this.#control = undefined
    this.#gathered = undefined
    this.#gatheredLength = 0
    switch (type) {
      case controlType.synStream:
        return {
          type: 'syn-stream',
          id: streamId(body.readUInt32BE(0)),
          fin: (flags & flag.fin) !== 0,
          unidirectional: (flags & flag.unidirectional) !== 0,
          headers: this.#decompressor.decompress(body.subarray(10)),
        }
      case controlType.synReply:
      case controlType.headers:
        return {
          type: type === controlType.headers ? 'headers' : 'syn-reply',
          id: streamId(body.readUInt32BE(0)),
          fin: (flags & flag.fin) !== 0,
          headers: this.#decompressor.decompress(body.subarray(4)),
        }
      default:
        return plainFrame(type, body)
    }
  }
}

/**
 * The specification lets unknown types be ignored; here they are errors, as for the other servers: no client
 * of ours extends the protocol, so what looks like one is a lost boundary, and what follows it would be noise.
 */
function controlOf(versionAndType: number, flags: number, lengthBytes: number): Control {
  const version = versionAndType >>> 16
  const type = versionAndType & 0xffff
  const limits = bodyBytes.get(type)
  if (version !== VERSION) throw new SpdyError(`a frame has version ${version}, not ${VERSION}`)
  if (limits === undefined) throw new SpdyError(`a control frame has the unknown type ${type}`)
  if (lengthBytes < limits[0] || lengthBytes > limits[1]) {
    throw new SpdyError(`a control frame of type ${type} is ${lengthBytes} bytes long`)
  }
  return { type, flags, lengthBytes }
}

function plainFrame(type: number, body: Buffer): Frame {
  const first = body.readUInt32BE(0)
  switch (type) {
    case controlType.settings:
      return { type: 'settings', settings: settingsOf(first, body) }
    case controlType.ping:
      if (first === 0) throw new SpdyError('a PING has the id 0')
      return { type: 'ping', id: first }
    case controlType.goAway:
      return { type: 'goaway', lastStreamId: first & ID_MASK, status: body.readUInt32BE(4) }
    case controlType.rstStream:
      return { type: 'rst-stream', id: streamId(first), status: positive(body.readUInt32BE(4), 'RST_STREAM') }
    default: {
      const deltaBytes = positive(body.readUInt32BE(4) & ID_MASK, 'WINDOW_UPDATE')
      return { type: 'window-update', id: first & ID_MASK, deltaBytes }
    }
  }
}

function settingsOf(count: number, body: Buffer): ReadonlyMap<number, number> {
  if (body.length !== 4 + count * 8) throw new SpdyError(`${body.length} bytes are no ${count} settings`)
  return new Map(
    Array.from({ length: count }, (_, index) => {
      const at = 4 + index * 8
      return [body.readUIntBE(at + 1, 3), body.readUInt32BE(at + 4)]
    }),
  )
}

function streamId(word: number): number {
  return positive(word & ID_MASK, 'stream id')
}

function positive(value: number, what: string): number {
  if (value === 0) throw new SpdyError(`a ${what} is 0`)
  return value
}
