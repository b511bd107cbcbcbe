import { invalidArgument } from '#lib/errors.ts'
import { readable } from '#linux/overlay-files.ts'
import { BLOCK_SIZE, headerNumber } from './tar-header.ts'

/** A part of a sparse file that is in the tar; between them are holes. */
export interface SparsePiece {
  readonly offset: number
  readonly sizeBytes: number
}

/** What the data of an entry is of a file. */
export interface Sparse {
  /** Of the file with its holes. */
  readonly sizeBytes: number
  /** In their order, none of them empty. */
  readonly pieces: readonly SparsePiece[]
}

/** A map that is still to come, in the blocks behind a header. */
export interface SparseBlocks {
  /** Answers true with the last block; the block may change afterwards. */
  take(block: Buffer): boolean
  /** After the last. */
  map(): Sparse
  /** Whether the blocks are part of the entry's data. */
  readonly isData: boolean
}

const PIECE_LIMIT = 100_000
const SIZE_LIMIT_BYTES = 2 ** 43
const OLD_PIECES = { at: 386, count: 4, goesOnAt: 482 }
const MORE_PIECES = { at: 0, count: 21, goesOnAt: 504 }
const PIECE_BYTES = 24

/**
 * The forms of GNU tar: a header of the type S, with more blocks behind it (old), and PAX 0.0 and 0.1, whose map is in the
 * records, and 1.0, whose is before the data. Undefined for a file that is not sparse. Throws invalid-argument.
 */
export function sparseOf(
  header: Buffer,
  flag: string,
  pax: ReadonlyMap<string, Buffer>,
): Sparse | SparseBlocks | undefined {
  if (flag === 'S') return oldBlocks(header)
  const realSize = pax.get('GNU.sparse.realsize') ?? pax.get('GNU.sparse.size')
  if (realSize === undefined) return undefined
  const sizeBytes = decimal(realSize.toString('latin1'))
  const map = pax.get('GNU.sparse.map')
  if (map !== undefined) return sparse(sizeBytes, map.toString('latin1').split(',').map(decimal))
  if (pax.get('GNU.sparse.major')?.toString() === '1') return textBlocks(sizeBytes)
  if (pax.get('GNU.sparse.numblocks')?.toString() === '0') return { sizeBytes, pieces: [] }
  throw broken('has no map')
}

/** Throws invalid-argument when a map is not of the entry's data. */
export function checkSparse({ sizeBytes, pieces }: Sparse, dataBytes: number, name: string): void {
  const what = `${readable(name).slice(0, 200)} in the tar is a sparse file`
  if (sizeBytes > SIZE_LIMIT_BYTES) throw invalidArgument(`${what} of ${sizeBytes} bytes, the limit is 8 TiB`)
  const packed = pieces.reduce((sum, piece) => sum + piece.sizeBytes, 0)
  if (packed !== dataBytes) throw invalidArgument(`${what} of ${packed} bytes of data, and has ${dataBytes}`)
}

function oldBlocks(header: Buffer): Sparse | SparseBlocks {
  const numbers: number[] = []
  const sizeBytes = headerNumber(header, 'realsize', 483, 12)
  if (!takeOldPieces(header, OLD_PIECES, numbers)) return sparse(sizeBytes, numbers)
  return {
    isData: false,
    take: (block) => !takeOldPieces(block, MORE_PIECES, numbers),
    map: () => sparse(sizeBytes, numbers),
  }
}

/** Answers whether another block follows. */
function takeOldPieces(
  block: Buffer,
  { at, count, goesOnAt }: typeof OLD_PIECES,
  numbers: number[],
): boolean {
  for (let piece = at; piece < at + count * PIECE_BYTES; piece += PIECE_BYTES) {
    if (block[piece] === 0) break
    numbers.push(headerNumber(block, 'offset', piece, 12), headerNumber(block, 'numbytes', piece + 12, 12))
  }
  if (numbers.length > 2 * PIECE_LIMIT) throw broken(`has more than ${PIECE_LIMIT} pieces`)
  return block[goesOnAt] !== 0
}

/** Numbers, a line each: how many pieces, then the offset and the size of each. */
function textBlocks(sizeBytes: number): SparseBlocks {
  const numbers: number[] = []
  let line = ''
  const isWhole = (): boolean => numbers.length > 2 * (numbers[0] ?? Number.POSITIVE_INFINITY)
  return {
    isData: true,
    take(block) {
      const lines = `${line}${block.toString('latin1', 0, BLOCK_SIZE)}`.split('\n')
      line = lines.pop() ?? ''
      // Behind the last number the block is filled up.
      for (const each of lines) if (!isWhole()) numbers.push(decimal(each))
      if ((numbers[0] ?? 0) > PIECE_LIMIT) throw broken(`has more than ${PIECE_LIMIT} pieces`)
      if (line.length > BLOCK_SIZE) throw broken('has a map that is none')
      return isWhole()
    },
    map: () => sparse(sizeBytes, numbers.slice(1)),
  }
}

/** `numbers`: offset and size in turns. */
function sparse(sizeBytes: number, numbers: readonly number[]): Sparse {
  const pieces: SparsePiece[] = []
  let end = 0
  for (let at = 0; at + 1 < numbers.length; at += 2) {
    const piece = { offset: numbers[at] ?? 0, sizeBytes: numbers[at + 1] ?? 0 }
    if (piece.offset < end || piece.sizeBytes < 0) throw broken('has pieces over each other')
    end = piece.offset + piece.sizeBytes
    if (piece.sizeBytes > 0) pieces.push(piece)
  }
  if (numbers.length % 2 !== 0) throw broken('has a piece without a size')
  if (end > sizeBytes || sizeBytes < 0) throw broken('has pieces behind its end')
  return { sizeBytes, pieces }
}

function decimal(text: string): number {
  const value = Number(text)
  if (!/^[0-9]{1,16}$/.test(text) || !Number.isSafeInteger(value)) throw broken('has a map that is none')
  return value
}

const broken = (what: string): Error => invalidArgument(`a sparse file in the tar ${what}`)
