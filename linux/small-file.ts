import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { CriError, errnoOf, invalidArgument } from '#lib/errors.ts'

const LIMIT_BYTES = 1 << 20

/** The text of a small regular file; a message does not name its path. May hang: call it in a worker. */
export function readSmallFile(path: string): string {
  const fd = open(path)
  try {
    if (!fstatSync(fd).isFile()) throw invalidArgument('it is not a regular file')
    const bytes = Buffer.alloc(LIMIT_BYTES + 1)
    let length = 0
    for (let more = -1; more !== 0 && length < bytes.length; length += more) {
      more = readSync(fd, bytes, length, bytes.length - length, null)
    }
    if (length > LIMIT_BYTES) throw invalidArgument(`it is larger than ${LIMIT_BYTES} bytes`)
    return bytes.toString('utf8', 0, length)
  } finally {
    closeSync(fd)
  }
}

const reasons: { readonly [code: string]: string } = {
  ENOENT: 'it does not exist',
  ENOTDIR: 'a part of its path is not a directory',
  EACCES: 'it may not be read',
  ELOOP: 'its links lead in a circle',
  ENAMETOOLONG: 'its path is too long',
}

/** Without waiting for the other end of a FIFO. */
function open(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (cause) {
    const reason = reasons[errnoOf(cause) ?? '']
    if (reason === undefined) throw new CriError('unavailable', 'it cannot be opened', { cause })
    throw invalidArgument(reason)
  }
}
