import { closeSync, openSync, writeSync } from 'node:fs'
import { EROFS_BLOCK_BYTES, SUPERBLOCK_AT, superblockOf } from './erofs-format.ts'
import { layOut } from './erofs-layout.ts'
import type { ErofsTree } from './erofs-tree.ts'

/** Where the tar begins: a page of its own is before it. */
export const TAR_AT = 4096
/** At the blob's beginning, which EROFS leaves to others: our mark, and the length of the tar in 64 bits. */
export const BLOB_MARK = 'cri-ts layer 1\n'.padEnd(24, '\0')
const PIECE_BYTES = 1 << 20

/** Where a blob goes to. */
export interface BlobOutput extends Disposable {
  write(bytes: Uint8Array, position: number): void
}

/** Makes a file; there must be none. */
export function newBlobFile(path: string): BlobOutput {
  let fd: number | undefined = openSync(path, 'wx', 0o600)
  return {
    write(bytes, position) {
      if (fd === undefined) throw new Error('the blob is closed')
      for (let at = 0; at < bytes.byteLength; ) {
        at += writeSync(fd, bytes, at, bytes.byteLength - at, position + at)
      }
    },
    [Symbol.dispose]() {
      if (fd !== undefined) closeSync(fd)
      fd = undefined
    },
  }
}

/**
 * A layer as one file, which the kernel mounts as EROFS:
 *
 *   mark, superblock │ the layer's tar, byte for byte │ inodes │ blocks of directories and long links
 *     0 … 4095          4096 …
 */
export class ErofsBlob implements Disposable {
  readonly #output: BlobOutput
  #tarBytes = 0

  constructor(output: BlobOutput) {
    this.#output = output
  }

  /** The next bytes of the tar. */
  tar(chunk: Uint8Array): void {
    this.#output.write(chunk, TAR_AT + this.#tarBytes)
    this.#tarBytes += chunk.byteLength
  }

  /** The block in which a piece of the tar begins. */
  blockOf(tarOffset: number): number {
    return (TAR_AT + tarOffset) / EROFS_BLOCK_BYTES
  }

  /** Adds what makes it mountable; answers what it takes on the disk, in bytes. */
  finish(tree: ErofsTree, uuid: Buffer): number {
    const metaAt = Math.ceil((TAR_AT + this.#tarBytes) / EROFS_BLOCK_BYTES) * EROFS_BLOCK_BYTES
    const metaBlock = metaAt / EROFS_BLOCK_BYTES
    const layout = layOut(tree, metaBlock)
    let at = metaAt
    for (const piece of gathered(layout.pieces())) {
      this.#output.write(piece, at)
      at += piece.length
    }
    const header = Buffer.alloc(TAR_AT)
    header.write(BLOB_MARK, 'latin1')
    header.writeBigUInt64LE(BigInt(this.#tarBytes), BLOB_MARK.length)
    const { rootNumber, inodes, blocks } = layout
    superblockOf({ rootNumber, inodes, metaBlock, blocks: metaBlock + blocks, uuid }).copy(
      header,
      SUPERBLOCK_AT,
    )
    this.#output.write(header, 0)
    this[Symbol.dispose]()
    return Math.ceil(at / TAR_AT) * TAR_AT
  }

  [Symbol.dispose](): void {
    this.#output[Symbol.dispose]()
  }
}

/** The same bytes in fewer, larger pieces. */
function* gathered(pieces: Iterable<Buffer>): Generator<Buffer> {
  let pending: Buffer[] = []
  let length = 0
  for (const piece of pieces) {
    pending.push(piece)
    length += piece.length
    if (length < PIECE_BYTES) continue
    yield Buffer.concat(pending)
    pending = []
    length = 0
  }
  if (length > 0) yield Buffer.concat(pending)
}
