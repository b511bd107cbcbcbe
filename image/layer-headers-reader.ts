import { closeSync, createReadStream, fstatSync, openSync, readSync } from 'node:fs'
import { pipeline } from 'node:stream'
import { createZstdDecompress } from 'node:zlib'
import { z } from 'zod'
import { CriError, errnoOf } from '#lib/errors.ts'
import { headersFormat } from './layer-headers.ts'

/** What layer-headers.ts describes, in its order. Paths are in latin1. */
export type HeadersRecord =
  | { readonly kind: 'verbatim'; readonly bytes: Buffer }
  | { readonly kind: 'file' | 'sparse'; readonly path: string; readonly sizeBytes: number }
  | { readonly kind: 'piece'; readonly offset: number; readonly sizeBytes: number }
  | { readonly kind: 'node'; readonly path: string }

/** Of a content in the file of headers. */
export interface ReplacedPlace {
  readonly offset: number
  readonly sizeBytes: number
}

export interface HeadersReader extends Disposable {
  readonly fd: number
  records(): AsyncGenerator<HeadersRecord>
  /** To be asked once at each record with a path: where its content is, when the layer replaced it later. */
  replaced(path: string): ReplacedPlace | undefined
}

const { verbatim, file, sparse, piece, node, footerBytes, mark } = headersFormat
/** Nothing that leads out of a layer was ever written down. */
const NO_PATH = /\0|^\/|(?:^|\/)\.\.(?:\/|$)/
const indexSchema = z.array(z.object({ path: z.string(), sizeBytes: z.int().nonnegative() }))

/** Throws not-found when the file is not there, failed-precondition when it is damaged. */
export function openHeaders(path: string): HeadersReader {
  const fd = openHeadersFile(path)
  try {
    const { framesEnd, replaced } = tailOf(fd, path)
    return {
      fd,
      records: () => recordsOf(framesEnd, path),
      replaced: (name) => replaced.get(name)?.shift(),
      [Symbol.dispose]: () => closeSync(fd),
    }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

function openHeadersFile(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (cause) {
    if (errnoOf(cause) !== 'ENOENT') throw cause
    throw new CriError(
      'not-found',
      'an earlier version unpacked the layer, which did not keep how its tar was: remove the image and pull it again',
    )
  }
}

function tailOf(fd: number, path: string) {
  const { size } = fstatSync(fd)
  const footer = bytesAt(fd, Math.max(0, size - footerBytes), footerBytes)
  const framesEnd = size < footerBytes ? 0 : Number(footer.readBigUInt64BE(0))
  const indexAt = size < footerBytes ? 0 : Number(footer.readBigUInt64BE(8))
  const isSound =
    footer.toString('latin1', 16) === mark && framesEnd <= indexAt && indexAt <= size - footerBytes
  if (!isSound) throw damaged(path)
  const index = indexSchema.safeParse(jsonOf(bytesAt(fd, indexAt, size - footerBytes - indexAt)))
  if (!index.success) throw damaged(path)
  const replaced = new Map<string, ReplacedPlace[]>()
  let offset = framesEnd
  for (const { path: name, sizeBytes } of index.data) {
    const places = replaced.get(name) ?? []
    replaced.set(name, places)
    places.push({ offset, sizeBytes })
    offset += sizeBytes
  }
  return { framesEnd, replaced }
}

async function* recordsOf(framesEnd: number, path: string): AsyncGenerator<HeadersRecord> {
  let pending: Buffer = Buffer.alloc(0)
  for await (const chunk of plainBytes(framesEnd, path)) {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    let next = recordAt(pending, 0)
    let at = 0
    while (next !== undefined) {
      at = next.end
      yield next.record
      next = recordAt(pending, at)
    }
    pending = pending.subarray(at)
  }
  if (pending.length > 0) throw damaged(path)
}

async function* plainBytes(framesEnd: number, path: string): AsyncGenerator<Buffer> {
  if (framesEnd === 0) return
  const plain = createZstdDecompress({ chunkSize: 256 << 10 })
  pipeline(createReadStream(path, { start: 0, end: framesEnd - 1 }), plain, () => {}) // Who reads it is told.
  try {
    yield* plain as AsyncIterable<Buffer>
  } catch (cause) {
    if ((errnoOf(cause) ?? '').startsWith('ZSTD_')) throw damaged(path, cause)
    throw cause
  }
}

/** Undefined when it is not there whole yet. */
function recordAt(bytes: Buffer, at: number): { record: HeadersRecord; end: number } | undefined {
  const kind = bytes[at]
  if (kind === undefined) return undefined
  if (kind === verbatim) return verbatimAt(bytes, at)
  if (kind === piece) {
    const end = at + 13
    if (end > bytes.length) return undefined
    const offset = bytes.readUIntBE(at + 1, 6)
    return { record: { kind: 'piece', offset, sizeBytes: bytes.readUIntBE(at + 7, 6) }, end }
  }
  if (kind === file || kind === sparse || kind === node) return namedAt(bytes, at, kind)
  throw new CriError('failed-precondition', `a record of a layer's headers is of the unknown kind ${kind}`)
}

function verbatimAt(bytes: Buffer, at: number) {
  if (at + 5 > bytes.length) return undefined
  const end = at + 5 + bytes.readUInt32BE(at + 1)
  if (end > bytes.length) return undefined
  return { record: { kind: 'verbatim', bytes: bytes.subarray(at + 5, end) } as const, end }
}

function namedAt(bytes: Buffer, at: number, kind: number) {
  if (at + 3 > bytes.length) return undefined
  const pathEnd = at + 3 + bytes.readUInt16BE(at + 1)
  const end = kind === node ? pathEnd : pathEnd + 6
  if (end > bytes.length) return undefined
  const path = bytes.toString('latin1', at + 3, pathEnd)
  if (NO_PATH.test(path)) throw new CriError('failed-precondition', "a path in a layer's headers is damaged")
  if (kind === node) return { record: { kind: 'node', path } as const, end }
  const sizeBytes = bytes.readUIntBE(pathEnd, 6)
  return { record: { kind: kind === file ? 'file' : 'sparse', path, sizeBytes } as const, end }
}

function bytesAt(fd: number, at: number, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes)
  readSync(fd, bytes, 0, sizeBytes, at)
  return bytes
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}

const damaged = (path: string, cause?: unknown): CriError =>
  new CriError(
    'failed-precondition',
    `${path}, what was written down of the layer's tar, is damaged`,
    cause === undefined ? {} : { cause },
  )
