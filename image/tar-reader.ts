import { invalidArgument } from '#lib/errors.ts'
import { entryOf, type TarEntry } from './tar-entry.ts'
import { BLOCK_SIZE, parsePaxRecords, parseTarHeader, type TarHeader } from './tar-header.ts'
import { checkSparse, type Sparse, type SparseBlocks, sparseOf } from './tar-sparse.ts'

export interface TarHandler {
  /** `dataAt`: where in the tar its data begins. */
  entry(entry: TarEntry, dataAt: number): void
  /** A part of the last entry's data, valid until it returns. */
  data(chunk: Buffer): void
  /** The last entry's data is complete. */
  end(): void
  /** Whatever is not an entry's data, in its place: headers, padding, what follows the end. Valid until it returns. */
  structure?(bytes: Buffer): void
}

interface MappedEntry {
  readonly entry: TarEntry
  readonly blocks: SparseBlocks
  /** Without the blocks that were taken. */
  dataBytes: number
}

const LONG_HEADER_LIMIT_BYTES = 1 << 20
/**
 * Takes a tar in pieces of any size and tells its entries to `handler`, synchronously: the untar thread has
 * nothing else to do, and promises cost more than the parsing. Throws invalid-argument for a broken archive.
 *
 *   header ──▶ data ──▶ padding ──▶ header … ──▶ a block of zeros ──▶ ended (the rest is ignored)
 */
export class TarReader {
  readonly #handler: TarHandler
  readonly #partial = Buffer.alloc(BLOCK_SIZE)
  #partialLength = 0
  /** Of the bytes taken so far, those before the piece that is looked at. */
  #pieceAt = 0
  #dataAt = 0
  /** Data still to come of the entry, or of a header that is longer than a block. */
  #dataLeft = 0
  #paddingLeft = 0
  #longHeader: { readonly flag: string; readonly content: Buffer } | undefined
  #pax: Map<string, Buffer> | undefined
  #longName: string | undefined
  #longLinkName: string | undefined
  /** The entry whose blocks of a map come next. */
  #mapped: MappedEntry | undefined
  #ended = false

  constructor(handler: TarHandler) {
    this.#handler = handler
  }

  push(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length && !this.#ended) {
      if (this.#dataLeft > 0) at += this.#takeData(chunk, at)
      else if (this.#paddingLeft > 0) at += this.#takePadding(chunk, at)
      else at += this.#takeHeader(chunk, at)
    }
    if (at < chunk.length) this.#handler.structure?.(chunk.subarray(at))
    this.#pieceAt += chunk.length
  }

  /** How much of an entry's data and padding comes next: who can seek may leave it out by `skip`. */
  get skippableBytes(): number {
    return this.#longHeader === undefined ? this.#dataLeft + this.#paddingLeft : 0
  }

  /** Takes `skippableBytes` as read. */
  skip(): void {
    if (this.#longHeader !== undefined) return
    this.#pieceAt += this.#dataLeft + this.#paddingLeft
    if (this.#dataLeft > 0) this.#handler.end()
    this.#dataLeft = 0
    this.#paddingLeft = 0
  }

  /** True once the end mark has come. */
  get ended(): boolean {
    return this.#ended
  }

  /** To be called after the last piece: throws when the archive stops inside an entry. */
  finish(): void {
    const isBetweenEntries = this.#dataLeft === 0 && this.#paddingLeft === 0 && this.#partialLength === 0
    const isWhole =
      isBetweenEntries && [this.#pax, this.#longName, this.#mapped].every((pending) => pending === undefined)
    if (!this.#ended && !isWhole) throw invalidArgument('the tar is cut off in the middle of an entry')
  }

  #takeData(chunk: Buffer, at: number): number {
    const taken = Math.min(this.#dataLeft, chunk.length - at)
    const piece = chunk.subarray(at, at + taken)
    if (this.#longHeader === undefined) this.#handler.data(piece)
    else {
      piece.copy(this.#longHeader.content, this.#longHeader.content.length - this.#dataLeft)
      this.#handler.structure?.(piece)
    }
    this.#dataLeft -= taken
    if (this.#dataLeft === 0) this.#endData()
    return taken
  }

  #endData(): void {
    const header = this.#longHeader
    this.#longHeader = undefined
    if (header === undefined) this.#handler.end()
    else if (header.flag === 'x') this.#pax = parsePaxRecords(header.content)
    else if (header.flag === 'L') this.#longName = untilNul(header.content)
    else if (header.flag === 'K') this.#longLinkName = untilNul(header.content)
  }

  #takePadding(chunk: Buffer, at: number): number {
    const taken = Math.min(this.#paddingLeft, chunk.length - at)
    this.#handler.structure?.(chunk.subarray(at, at + taken))
    this.#paddingLeft -= taken
    return taken
  }

  #takeHeader(chunk: Buffer, at: number): number {
    if (this.#partialLength === 0 && chunk.length - at >= BLOCK_SIZE) {
      this.#dataAt = this.#pieceAt + at + BLOCK_SIZE
      const block = chunk.subarray(at, at + BLOCK_SIZE)
      this.#handler.structure?.(block)
      this.#header(block)
      return BLOCK_SIZE
    }
    const taken = chunk.copy(this.#partial, this.#partialLength, at)
    this.#handler.structure?.(chunk.subarray(at, at + taken))
    this.#partialLength += taken
    if (this.#partialLength === BLOCK_SIZE) {
      this.#partialLength = 0
      this.#dataAt = this.#pieceAt + at + taken
      this.#header(this.#partial)
    }
    return taken
  }

  #header(block: Buffer): void {
    if (this.#mapped !== undefined) {
      this.#takeMap(block, this.#mapped)
      return
    }
    if (isZero(block)) {
      this.#ended = true
      return
    }
    const header = parseTarHeader(block)
    if ('xgLK'.includes(header.flag)) this.#beginLongHeader(header)
    else this.#beginEntry(header, block)
  }

  #beginLongHeader({ flag, sizeBytes }: TarHeader): void {
    if (sizeBytes < 0 || sizeBytes > LONG_HEADER_LIMIT_BYTES) {
      throw invalidArgument(`a header of the tar is ${sizeBytes} bytes long, the limit is 1 MiB`)
    }
    this.#longHeader = { flag, content: Buffer.alloc(sizeBytes) }
    this.#expect(sizeBytes)
    if (sizeBytes === 0) this.#endData()
  }

  #beginEntry(header: TarHeader, block: Buffer): void {
    const pax = this.#pax ?? noRecords
    const entry = entryOf(header, pax, this.#longName, this.#longLinkName)
    const sparse = entry.type === 'file' ? sparseOf(block, header.flag, pax) : undefined
    this.#pax = undefined
    this.#longName = undefined
    this.#longLinkName = undefined
    if (sparse === undefined) this.#tell(entry)
    else if ('take' in sparse) this.#mapped = { entry, blocks: sparse, dataBytes: entry.sizeBytes }
    else this.#tellSparse(entry, sparse)
  }

  #takeMap(block: Buffer, mapped: MappedEntry): void {
    const { entry, blocks } = mapped
    if (blocks.isData) mapped.dataBytes -= BLOCK_SIZE
    const isLast = blocks.take(block)
    if (mapped.dataBytes < 0 || (!isLast && mapped.dataBytes === 0)) {
      throw invalidArgument('a sparse file in the tar is shorter than its map')
    }
    if (!isLast) return
    this.#mapped = undefined
    this.#tellSparse({ ...entry, sizeBytes: mapped.dataBytes }, blocks.map())
  }

  #tellSparse(entry: TarEntry, sparse: Sparse): void {
    checkSparse(sparse, entry.sizeBytes, entry.name)
    this.#tell({ ...entry, sparse })
  }

  #tell(entry: TarEntry): void {
    this.#expect(entry.sizeBytes)
    this.#handler.entry(entry, this.#dataAt)
    if (entry.sizeBytes === 0) this.#handler.end()
  }

  #expect(sizeBytes: number): void {
    this.#dataLeft = sizeBytes
    this.#paddingLeft = (BLOCK_SIZE - (sizeBytes % BLOCK_SIZE)) % BLOCK_SIZE
  }
}

const noRecords: ReadonlyMap<string, Buffer> = new Map()
const zeros = Buffer.alloc(BLOCK_SIZE)
const isZero = (block: Buffer): boolean => block[0] === 0 && block.equals(zeros)

function untilNul(content: Buffer): string {
  const end = content.indexOf(0)
  return content.toString('latin1', 0, end < 0 ? content.length : end)
}
