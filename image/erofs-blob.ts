import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { invalidArgument } from '#lib/errors.ts'
import { EROFS_BLOCK_BYTES, SUPERBLOCK_AT, setBlockOrDevice, superblockOf } from './erofs-format.ts'
import { layOut } from './erofs-layout.ts'
import type { LayerEntries, SparseContent } from './layer-entries.ts'

/** Where the tar begins: a page of its own is before it. */
export const TAR_AT = 4096
/** At the blob's beginning, which EROFS leaves to others: our mark, and the length of the tar in 64 bits. */
export const BLOB_MARK = 'cri-ts layer 1\n'.padEnd(24, '\0')
const PIECE_BYTES = 1 << 20
/** Of files with holes, all together: fs-verity reads holes, too. */
const SPARSE_LIMIT_BYTES = 64 * 2 ** 30

/** Where a blob goes to. */
export interface BlobOutput extends Disposable {
  write(bytes: Uint8Array, position: number): void
  /** What was written before. */
  read(position: number, sizeBytes: number): Buffer
  /** Nothing is written there: it reads as zeros. */
  hole(from: number, to: number): void
}

/** Makes a file; there must be none. */
export function newBlobFile(path: string): BlobOutput {
  let fd: number | undefined = openSync(path, 'wx+', 0o600)
  return {
    write(bytes, position) {
      if (fd === undefined) throw new Error('the blob is closed')
      for (let at = 0; at < bytes.byteLength; ) {
        at += writeSync(fd, bytes, at, bytes.byteLength - at, position + at)
      }
    },
    read(position, sizeBytes) {
      const bytes = Buffer.alloc(sizeBytes)
      if (fd !== undefined) readSync(fd, bytes, 0, sizeBytes, position)
      return bytes
    },
    hole() {},
    [Symbol.dispose]() {
      if (fd !== undefined) closeSync(fd)
      fd = undefined
    },
  }
}

/**
 * A layer as one file, which the kernel mounts as EROFS:
 *
 *   mark, superblock │ the layer's tar, byte for byte │ inodes │ blocks of directories and long links │ files with holes
 *     0 … 4095          4096 …
 *
 * Holes of files are holes of it.
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
  finish({ tree, sparse }: Pick<LayerEntries, 'tree' | 'sparse'>, uuid: Buffer): number {
    const metaAt = Math.ceil((TAR_AT + this.#tarBytes) / EROFS_BLOCK_BYTES) * EROFS_BLOCK_BYTES
    const metaBlock = metaAt / EROFS_BLOCK_BYTES
    const layout = layOut(tree, metaBlock)
    const placed: PlacedSparse[] = []
    let endBlock = metaBlock + layout.blocks
    for (const inode of tree.inodes.linked()) {
      const content = sparse.get(inode)
      if (content === undefined || content.sizeBytes === 0) continue
      setBlockOrDevice(tree.inodes.at(inode), endBlock)
      placed.push({ ...content, at: endBlock * EROFS_BLOCK_BYTES })
      endBlock += Math.ceil(content.sizeBytes / EROFS_BLOCK_BYTES)
      checkSparseBytes((endBlock - metaBlock - layout.blocks) * EROFS_BLOCK_BYTES)
    }
    let at = metaAt
    for (const piece of gathered(layout.pieces())) {
      this.#output.write(piece, at)
      at += piece.length
    }
    const header = Buffer.alloc(TAR_AT)
    header.write(BLOB_MARK, 'latin1')
    header.writeBigUInt64LE(BigInt(this.#tarBytes), BLOB_MARK.length)
    const { rootNumber, inodes } = layout
    superblockOf({ rootNumber, inodes, metaBlock, blocks: endBlock, uuid }).copy(header, SUPERBLOCK_AT)
    this.#output.write(header, 0)
    const sparseBytes = placed.reduce((sum, content) => sum + this.#fill(content), 0)
    this[Symbol.dispose]()
    return Math.ceil(at / TAR_AT) * TAR_AT + sparseBytes
  }

  /** Copies a file's data from the tar to where it belongs in the file; answers what that takes on the disk. */
  #fill({ at, sizeBytes, pieces, dataAt }: PlacedSparse): number {
    let [end, from, usedBytes] = [0, TAR_AT + dataAt, 0]
    for (const piece of pieces) {
      this.#output.hole(at + end, at + piece.offset)
      end = piece.offset + piece.sizeBytes
      for (let to = piece.offset; to < end; ) {
        const bytes = this.#output.read(from, Math.min(PIECE_BYTES, end - to))
        this.#output.write(bytes, at + to)
        from += bytes.length
        to += bytes.length
      }
      usedBytes += Math.ceil(piece.sizeBytes / TAR_AT) * TAR_AT
    }
    const blocksEnd = Math.ceil(sizeBytes / EROFS_BLOCK_BYTES) * EROFS_BLOCK_BYTES
    if (end === blocksEnd) return usedBytes
    this.#output.hole(at + end, at + blocksEnd - 1)
    this.#output.write(Buffer.alloc(1), at + blocksEnd - 1) // So that the blob is as long.
    return usedBytes + TAR_AT
  }

  [Symbol.dispose](): void {
    this.#output[Symbol.dispose]()
  }
}

interface PlacedSparse extends SparseContent {
  /** In the blob. */
  readonly at: number
}

function checkSparseBytes(sizeBytes: number): void {
  if (sizeBytes <= SPARSE_LIMIT_BYTES) return
  throw invalidArgument(
    'files with holes in the layer have more than 64 GiB with them, which EROFS\'s form is not made for: set image.format to "overlay"',
  )
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
