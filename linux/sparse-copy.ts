import { ftruncateSync, readSync, writeSync } from 'node:fs'
import koffi from 'koffi'
import { SystemError } from './libc.ts'

const lseek = koffi.load('libc.so.6').func('int64 lseek(int fd, int64 offset, int whence)')
const SEEK_DATA = 3
const SEEK_HOLE = 4
const PIECE_BYTES = 256 << 10

/** Copies a file of that size into an empty one: what is a hole in it is one there. */
export function copySparse(from: number, to: number, sizeBytes: number): void {
  const piece = Buffer.allocUnsafe(PIECE_BYTES)
  for (let at = seek(from, 0, SEEK_DATA); at !== undefined; at = seek(from, at, SEEK_DATA)) {
    const end = seek(from, at, SEEK_HOLE) ?? sizeBytes
    while (at < end) {
      const length = readSync(from, piece, 0, Math.min(piece.length, end - at), at)
      if (length === 0) break
      for (let done = 0; done < length; ) done += writeSync(to, piece, done, length - done, at + done)
      at += length
    }
  }
  ftruncateSync(to, sizeBytes)
}

/** Whether a part of a file reads as zeros; holes are not read. */
export function isZeroBetween(fd: number, from: number, to: number): boolean {
  const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, to - from))
  for (let at = seek(fd, from, SEEK_DATA); at !== undefined && at < to; at = seek(fd, at, SEEK_DATA)) {
    const end = Math.min(to, seek(fd, at, SEEK_HOLE) ?? to)
    while (at < end) {
      const length = readSync(fd, piece, 0, Math.min(piece.length, end - at), at)
      if (length === 0) return true
      if (!piece.subarray(0, length).equals(zeros.subarray(0, length))) return false
      at += length
    }
  }
  return true
}

const zeros = Buffer.alloc(PIECE_BYTES)

/** Undefined behind the last data. */
function seek(fd: number, at: number, whence: number): number | undefined {
  const found = Number(lseek(fd, at, whence))
  if (found >= 0) return found
  const failure = new SystemError('lseek', '', koffi.errno())
  if (failure.code === 'ENXIO') return undefined
  throw failure
}
