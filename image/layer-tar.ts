import { createHash } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { CriError, errnoOf } from '#lib/errors.ts'
import { readable } from '#linux/overlay-files.ts'
import { readBlobTar, verifyBlob } from './erofs-tar.ts'
import { compareLayer } from './layer-comparison.ts'
import { LayerEntries } from './layer-entries.ts'
import {
  type HeadersReader,
  type HeadersRecord,
  openHeaders,
  type ReplacedPlace,
} from './layer-headers-reader.ts'
import { fsPath } from './layer-tree.ts'
import { TarReader } from './tar-reader.ts'

/** An unpacked layer and what was written down of its tar. */
export interface LayerPlace {
  /** Or its file, in the format `erofs`: the tar lies in it. */
  readonly directory: string
  /** See layer-headers.ts. */
  readonly headersFile: string
}

const PIECE_BYTES = 256 << 10
const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants

/**
 * The very tar that a layer was unpacked from, in pieces. Throws failed-precondition, which names the layer's file when
 * one is gone or of another size; not-found when nothing was written down of the tar: an earlier version unpacked it.
 * Reads synchronously between the pieces: for a thread that has nothing else to do.
 */
export async function* readLayerTar(layer: LayerPlace): AsyncGenerator<Buffer> {
  if (isBlob(layer)) {
    yield* readBlobTar(layer.directory)
    return
  }
  let piece = Buffer.allocUnsafe(PIECE_BYTES)
  let length = 0
  for await (const read of contentsOf(layer)) {
    for (;;) {
      const taken = read(piece.subarray(length))
      if (taken === 0) break
      length += taken
      if (length < PIECE_BYTES) continue
      yield piece
      piece = Buffer.allocUnsafe(PIECE_BYTES)
      length = 0
    }
  }
  if (length > 0) yield piece.subarray(0, length)
}

/**
 * What is wrong with a layer, a sentence each, none when it is what its tar makes. Throws not-found as readLayerTar does,
 * invalid-argument where its files' attributes cannot be compared.
 */
export async function verifyLayer(layer: LayerPlace, diffId: string): Promise<readonly string[]> {
  if (isBlob(layer)) return verifyBlob(layer.directory, diffId)
  const hash = createHash('sha256')
  const said = saidByTar()
  try {
    for await (const piece of readLayerTar(layer)) {
      hash.update(piece)
      said.push(piece)
    }
  } catch (error) {
    if (error instanceof CriError && error.kind === 'failed-precondition') return [error.message]
    throw error
  }
  const found = `sha256:${hash.digest('hex')}`
  if (found !== diffId) return [`its files make a tar of the digest ${found}, it should be ${diffId}`]
  return compareLayer(layer.directory, said.made())
}

/** What a tar makes, which may turn out not to be the layer's: nothing is thrown before the end. */
function saidByTar() {
  const entries = new LayerEntries(Number.POSITIVE_INFINITY, () => 0)
  const reader = new TarReader(entries)
  let failure: Error | undefined
  const attempt = (work: () => void): void => {
    try {
      if (failure === undefined) work()
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error))
    }
  }
  return {
    push: (piece: Buffer): void => attempt(() => reader.push(piece)),
    made() {
      attempt(() => reader.finish())
      if (failure !== undefined) throw failure
      return entries
    },
  }
}

const isBlob = ({ directory }: LayerPlace): boolean =>
  statSync(directory, { throwIfNoEntry: false })?.isFile() === true

/** Fills a buffer, answers how much; 0 at the end. */
type Read = (into: Buffer) => number

async function* contentsOf({ directory, headersFile }: LayerPlace): AsyncGenerator<Read> {
  using headers = openHeaders(headersFile)
  using files = new LayerFiles(directory, headers)
  for await (const record of headers.records()) {
    const read = files.contentOf(record)
    if (read !== undefined) yield read
  }
}

/** The files of a layer, opened one after the other as the records name them. */
class LayerFiles implements Disposable {
  readonly #base: string
  readonly #headers: HeadersReader
  #open: OpenFile | undefined

  constructor(directory: string, headers: HeadersReader) {
    this.#base = Buffer.from(directory).toString('latin1')
    this.#headers = headers
  }

  contentOf(record: HeadersRecord): Read | undefined {
    if (record.kind === 'verbatim') return readBytes(record.bytes)
    if (record.kind === 'piece') return this.#open === undefined ? undefined : readPiece(this.#open, record)
    this[Symbol.dispose]()
    const replaced = this.#headers.replaced(record.path)
    if (record.kind === 'node') return undefined
    const { fd } = this.#headers
    this.#open = replaced === undefined ? openFile(this.#base, record) : replacedFile(fd, record, replaced)
    if (record.kind === 'sparse') return undefined
    return readPiece(this.#open, { offset: 0, sizeBytes: record.sizeBytes })
  }

  [Symbol.dispose](): void {
    this.#open?.close()
    this.#open = undefined
  }
}

interface OpenFile {
  readonly path: string
  readonly fd: number
  /** Where its content begins. */
  readonly offset: number
  close(): void
}

type FileRecord = Extract<HeadersRecord, { kind: 'file' | 'sparse' }>

function openFile(base: string, { path, sizeBytes }: FileRecord): OpenFile {
  let fd: number
  try {
    fd = openSync(fsPath(`${base}/${path}`), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (cause) {
    if (!['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'ENAMETOOLONG'].includes(errnoOf(cause) ?? '')) throw cause
    throw damaged(path, 'is gone')
  }
  const stat = fstatSync(fd)
  if (stat.isFile() && stat.size === sizeBytes) return { path, fd, offset: 0, close: () => closeSync(fd) }
  closeSync(fd)
  throw damaged(path, stat.isFile() ? `has ${stat.size} bytes, it should have ${sizeBytes}` : 'is no file')
}

function replacedFile(fd: number, { path, sizeBytes }: FileRecord, replaced: ReplacedPlace): OpenFile {
  if (replaced.sizeBytes !== sizeBytes) throw damaged(path, 'is not as it was written down')
  return { path, fd, offset: replaced.offset, close: () => {} }
}

function readBytes(bytes: Buffer): Read {
  let at = 0
  return (into) => {
    const taken = bytes.copy(into, 0, at)
    at += taken
    return taken
  }
}

function readPiece(file: OpenFile, piece: { readonly offset: number; readonly sizeBytes: number }): Read {
  let at = 0
  return (into) => {
    const wanted = Math.min(into.length, piece.sizeBytes - at)
    if (wanted === 0) return 0
    const taken = readSync(file.fd, into, 0, wanted, file.offset + piece.offset + at)
    if (taken === 0) throw damaged(file.path, 'was cut off')
    at += taken
    return taken
  }
}

const damaged = (path: string, what: string): CriError =>
  new CriError('failed-precondition', `${readable(path)} in the layer ${what}`)
