import { constants } from 'node:zlib'
import { giveBack } from '#lib/give-back.ts'
import { type Compression, createStream } from './layer-decoder.ts'

/** Decompresses on the thread that calls. Its end frees what it holds. */
export interface BlockingDecoder extends Disposable {
  /** What comes of these bytes, in pieces; each is good until the next is asked for. Throws what zlib says of damage. */
  decode(bytes: Uint8Array): Generator<Buffer>
  /** What is left after the last bytes; throws when they are cut off. */
  finish(): Generator<Buffer>
}

/** node:zlib's own, of which its synchronous functions consist: there is no public call for a part of a stream. */
interface Internals {
  readonly _handle: {
    onerror: (message: string, errno: number, code: string) => void
    writeSync(flush: number, ...buffers: [...BufferPart, ...BufferPart]): void
  }
  /** After each write: the free bytes of the output, the rest of the input. */
  readonly _writeState: Uint32Array
}
type BufferPart = [buffer: Uint8Array, offset: number, length: number]

const OUTPUT_BYTES = 256 << 10
const NOTHING = new Uint8Array(0)
const flushes = {
  gzip: { more: constants.Z_NO_FLUSH, end: constants.Z_FINISH },
  zstd: { more: constants.ZSTD_e_continue, end: constants.ZSTD_e_end },
}

/**
 * For a thread that has nothing else to do. A stream hands each piece to a thread of the pool and waits for it, and makes
 * memory for each that only the garbage collector gives back: docs/decisions/0015 has what that costs.
 */
export function blockingDecoder(compression: Compression): BlockingDecoder {
  const stream = createStream(compression, constants.Z_MIN_CHUNK) // Of its own, which is not used.
  const { _handle: handle, _writeState: state } = stream as unknown as Internals
  const output = Buffer.allocUnsafeSlow(OUTPUT_BYTES)
  let failure: Error | undefined
  let isOver = false
  handle.onerror = (message, _, code) => {
    failure = Object.assign(new Error(message), { code })
  }

  function* run(flush: number, bytes: Uint8Array): Generator<Buffer> {
    let left = bytes.byteLength
    while (!isOver) {
      handle.writeSync(flush, bytes, bytes.byteLength - left, left, output, 0, output.length)
      if (failure !== undefined) throw failure
      const [free = 0, rest = 0] = state
      left = rest
      if (free < output.length) yield output.subarray(0, output.length - free)
      if (free === 0) continue
      // It has room and takes no more: what follows the end is no part of it.
      isOver = left > 0
      return
    }
  }
  return {
    decode: (bytes) => run(flushes[compression].more, bytes),
    finish: () => run(flushes[compression].end, NOTHING),
    [Symbol.dispose]() {
      stream.destroy()
      giveBack(output)
    },
  }
}
