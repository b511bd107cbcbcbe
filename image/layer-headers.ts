import {
  closeSync,
  constants as fsConstants,
  fstatSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { promisify } from 'node:util'
import { constants, zstdCompress } from 'node:zlib'
import { invalidArgument } from '#lib/errors.ts'
import { giveBack } from '#lib/give-back.ts'
import { readable } from '#linux/overlay-files.ts'
import { fsPath } from './layer-tree.ts'

/**
 * What a layer's directory does not say of the tar that it came from, in a file beside it: layer-tar.ts makes the very
 * same tar of both. The file is
 *
 *   records, in frames of zstd │ contents that the layer itself replaced │ an index of those, JSON │ footer
 *
 * and a record, with big-endian numbers, and a path as its length(2) and its bytes:
 *
 *   v length(4) bytes      as they stand in the tar: headers, padding, what is kept nowhere else
 *   f path size(6)         all of that file
 *   s path size(6)         a sparse file, of which follow
 *   p offset(6) size(6)      pieces
 *   n path                 another kind of file was made there, but no directory
 */
export const headersFormat = {
  verbatim: 0x76,
  file: 0x66,
  sparse: 0x73,
  piece: 0x70,
  node: 0x6e,
  /** Where the frames end (8), where the index ends (8), the mark. */
  footerBytes: 24,
  mark: 'CRITAR1\n',
} as const

/** A content that is in the directory no more: that of the first record of its path which has none yet. */
export interface ReplacedContent {
  /** In latin1. */
  readonly path: string
  readonly sizeBytes: number
}

const compress = promisify(zstdCompress)
const fastest = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }
/** Small enough for the processor's cache; each is a frame. */
const BATCH_BYTES = 256 << 10
const BATCHES_AHEAD = 16
/** Of the index, which is read as a whole; each of its entries takes more memory then. */
const INDEX_LIMIT_BYTES = 16 << 20
const INDEX_ENTRY_BYTES = 128
const { verbatim, file, sparse, piece, node, footerBytes, mark } = headersFormat

/** Writes such a file while its layer is unpacked. It is compressed by threads of their own meanwhile. */
export class LayerHeaders implements Disposable {
  readonly #path: string
  readonly #fd: number
  #batch: Buffer = Buffer.allocUnsafeSlow(BATCH_BYTES)
  /** Batches to be used again. */
  readonly #spare: Buffer[] = []
  #length = 0
  /** Where the length of the verbatim bytes is to stand that are being taken. */
  #runAt: number | undefined
  #written: Promise<void> = Promise.resolve()
  #ahead = 0
  #framesBytes = 0
  #spillFd: number | undefined
  #spilledBytes = 0
  #contentBytes = 0
  #isClosed = false
  readonly #replaced: ReplacedContent[] = []
  #indexBytes = 0

  /** `path` must not be there yet. */
  constructor(path: string) {
    this.#path = path
    this.#fd = openSync(path, 'wx', 0o600)
  }

  verbatim(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#runAt === undefined) this.#beginRun()
      const taken = bytes.copy(this.#batch, this.#length, at)
      this.#length += taken
      at += taken
      if (this.#length === BATCH_BYTES) this.#flush()
    }
  }

  /** All of a file's content comes next. Paths are relative to the layer, in latin1. */
  file(path: string, sizeBytes: number): void {
    this.#contentBytes += sizeBytes
    this.#record(file, path, [sizeBytes])
  }

  /** Pieces of a file's content come next, with the holes between them left out. */
  sparse(path: string, sizeBytes: number, pieces: readonly { offset: number; sizeBytes: number }[]): void {
    this.#record(sparse, path, [sizeBytes])
    for (const { offset, sizeBytes } of pieces) {
      this.#contentBytes += sizeBytes
      this.#record(piece, undefined, [offset, sizeBytes])
    }
  }

  /** Something else than a file or a directory was made. */
  node(path: string): void {
    this.#record(node, path, [])
  }

  /**
   * Keeps a content which the layer is about to replace; `absolute` is its file, undefined of what is none. Throws
   * invalid-argument when that would be more than all contents so far: links and holes could make it any size; and
   * when the names would be too many.
   */
  replaced(path: string, absolute: string | undefined): void {
    this.#indexBytes += JSON.stringify(path).length + INDEX_ENTRY_BYTES
    if (this.#indexBytes > INDEX_LIMIT_BYTES) {
      throw invalidArgument(
        `the layer replaces so many of its own files that their names take more than ${INDEX_LIMIT_BYTES >> 20} MiB: rebuild the image`,
      )
    }
    const sizeBytes = absolute === undefined ? 0 : this.#spill(path, absolute)
    this.#replaced.push({ path, sizeBytes })
  }

  /** Resolves when not much is waiting to be compressed. */
  async drained(): Promise<void> {
    if (this.#ahead > BATCHES_AHEAD) await this.#written
  }

  /** Answers the size of the file. */
  async finish(): Promise<number> {
    this.#flush()
    await this.#written
    for (const batch of [this.#batch, ...this.#spare.splice(0)]) giveBack(batch)
    let at = this.#framesBytes
    if (this.#spillFd !== undefined) at += copy(this.#spillFd, this.#fd, at)
    const index = Buffer.from(JSON.stringify(this.#replaced))
    const footer = Buffer.alloc(footerBytes)
    footer.writeBigUInt64BE(BigInt(this.#framesBytes), 0)
    footer.writeBigUInt64BE(BigInt(at), 8)
    footer.write(mark, 16, 'latin1')
    writeAll(this.#fd, Buffer.concat([index, footer]), at)
    return at + index.length + footerBytes
  }

  [Symbol.dispose](): void {
    this.#isClosed = true
    closeSync(this.#fd)
    if (this.#spillFd !== undefined) closeSync(this.#spillFd)
  }

  #beginRun(): void {
    if (this.#length + 6 > BATCH_BYTES) this.#flush()
    this.#batch[this.#length] = verbatim
    this.#runAt = this.#length + 1
    this.#length += 5
  }

  #endRun(): void {
    if (this.#runAt !== undefined) this.#batch.writeUInt32BE(this.#length - this.#runAt - 4, this.#runAt)
    this.#runAt = undefined
  }

  #record(kind: number, path: string | undefined, numbers: readonly number[]): void {
    this.#endRun()
    if (this.#length + 16 + (path?.length ?? 0) > BATCH_BYTES) this.#flush()
    this.#length = this.#batch.writeUInt8(kind, this.#length)
    if (path !== undefined) {
      this.#length = this.#batch.writeUInt16BE(path.length, this.#length)
      this.#length += this.#batch.write(path, this.#length, 'latin1')
    }
    for (const number of numbers) this.#length = this.#batch.writeUIntBE(number, this.#length, 6)
  }

  #flush(): void {
    this.#endRun()
    if (this.#length === 0) return
    const batch = this.#batch
    const frame = compress(batch.subarray(0, this.#length), fastest)
    this.#batch = this.#spare.pop() ?? Buffer.allocUnsafeSlow(BATCH_BYTES)
    this.#length = 0
    this.#ahead += 1
    this.#written = Promise.all([frame, this.#written]).then(([compressed]) => {
      this.#spare.push(batch)
      if (this.#isClosed) return
      writeAll(this.#fd, compressed, this.#framesBytes)
      this.#framesBytes += compressed.length
      this.#ahead -= 1
    })
    this.#written.catch(() => {}) // `drained` and `finish` tell.
  }

  #spill(path: string, absolute: string): number {
    if (this.#spillFd === undefined) {
      const spill = `${this.#path}.replaced`
      this.#spillFd = openSync(spill, 'wx+', 0o600)
      unlinkSync(spill)
    }
    const from = openSync(fsPath(absolute), fsConstants.O_RDONLY | fsConstants.O_NOFOLLOW)
    try {
      if (this.#spilledBytes + fstatSync(from).size > this.#contentBytes) {
        throw invalidArgument(
          `${readable(path)} in the layer is replaced by another entry, and has more holes or links than that can go with`,
        )
      }
      const sizeBytes = copy(from, this.#spillFd, this.#spilledBytes)
      this.#spilledBytes += sizeBytes
      return sizeBytes
    } finally {
      closeSync(from)
    }
  }
}

/** All of a file, from its beginning to a place in another one; answers how much it was. */
function copy(from: number, to: number, at: number): number {
  const chunk = Buffer.allocUnsafe(BATCH_BYTES)
  let copied = 0
  for (;;) {
    const length = readSync(from, chunk, 0, chunk.length, copied)
    if (length === 0) return copied
    writeAll(to, chunk.subarray(0, length), at + copied)
    copied += length
  }
}

function writeAll(fd: number, bytes: Buffer, at: number): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, at + done)
}

/** Where the headers of a layer are, beside its directory. */
export const headersFileOf = (directory: string): string => `${directory}.headers`
