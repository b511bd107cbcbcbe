import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { CriError } from '#lib/errors.ts'
import { isZeroBetween } from '#linux/sparse-copy.ts'
import { BLOB_MARK, type BlobOutput, TAR_AT } from './erofs-blob.ts'
import { ErofsLayerWriter } from './erofs-layer-writer.ts'
import { TarReader } from './tar-reader.ts'

const PIECE_BYTES = 256 << 10

/** The tar that lies in a layer's file, in pieces. Throws failed-precondition when the file is none, or cut off. Synchronous. */
export function* readBlobTar(file: string): Generator<Buffer> {
  const fd = openSync(file, 'r')
  try {
    const header = Buffer.alloc(BLOB_MARK.length + 8)
    readSync(fd, header, 0, header.length, 0)
    const end = TAR_AT + Number(header.readBigUInt64LE(BLOB_MARK.length))
    if (header.toString('latin1', 0, BLOB_MARK.length) !== BLOB_MARK)
      throw broken(file, 'has no mark of a layer')
    for (let at = TAR_AT; at < end; ) {
      const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, end - at))
      const read = readSync(fd, piece, 0, piece.length, at)
      if (read === 0) throw broken(file, `ends ${end - at} bytes before its tar does`)
      yield piece.subarray(0, read)
      at += read
    }
  } finally {
    closeSync(fd)
  }
}

/** What is wrong with a layer's file, a sentence each: its tar is hashed, and what is behind it made of it once more. */
export function verifyBlob(file: string, diffId: string): readonly string[] {
  const hash = createHash('sha256')
  const output = comparedTo(file)
  try {
    using writer = new ErofsLayerWriter(output, Number.POSITIVE_INFINITY)
    const reader = new TarReader(writer)
    for (const piece of readBlobTar(file)) {
      hash.update(piece)
      writer.take(piece)
      reader.push(piece)
    }
    const found = `sha256:${hash.digest('hex')}`
    if (found !== diffId) return [`${file} holds a tar of the digest ${found}, it should be ${diffId}`]
    reader.finish()
    writer.finish(diffId)
  } catch (error) {
    if (error instanceof CriError) return [error.message]
    throw error
  }
  return output.differsAt() === undefined
    ? []
    : [
        `${file} is not what its tar makes, from byte ${output.differsAt()} on: remove its images and pull them again`,
      ]
}

function comparedTo(file: string): BlobOutput & { differsAt(): number | undefined } {
  let fd: number | undefined = openSync(file, 'r')
  let differsAt: number | undefined
  return {
    differsAt: () => differsAt,
    write(bytes, position) {
      const there = Buffer.alloc(bytes.byteLength)
      if (fd !== undefined) readSync(fd, there, 0, there.length, position)
      if (!there.equals(bytes)) differsAt ??= position
    },
    read(position, sizeBytes) {
      const bytes = Buffer.alloc(sizeBytes)
      if (fd !== undefined) readSync(fd, bytes, 0, sizeBytes, position)
      return bytes
    },
    hole(from, to) {
      if (fd !== undefined && to > from && !isZeroBetween(fd, from, to)) differsAt ??= from
    },
    [Symbol.dispose]() {
      if (fd !== undefined) closeSync(fd)
      fd = undefined
    },
  }
}

const broken = (file: string, what: string): CriError =>
  new CriError('failed-precondition', `${file} ${what}: remove its images and pull them again`)
