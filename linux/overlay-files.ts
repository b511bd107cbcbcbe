import koffi from 'koffi'
import { SystemError } from './libc.ts'

/**
 * What an unpacked layer needs of the kernel beyond node:fs. Paths are bytes kept in a latin1 string, since
 * names in a tar need not be UTF-8. None of these follows a link at the end of its path.
 */
const libc = koffi.load('libc.so.6')
const natives = {
  mknod: libc.func('int mknod(const void *path, unsigned int mode, unsigned long device)'),
  lsetxattr: libc.func(
    'int lsetxattr(const void *path, const char *name, const void *value, size_t size, int flags)',
  ),
  llistxattr: libc.func('long llistxattr(const void *path, void *names, size_t size)'),
  lgetxattr: libc.func('long lgetxattr(const void *path, const char *name, void *value, size_t size)'),
  utimensat: libc.func('int utimensat(int directory, const void *path, const void *times, int flags)'),
  futimens: libc.func('int futimens(int fd, const void *times)'),
}
const AT_FDCWD = -100
const AT_SYMLINK_NOFOLLOW = 0x100

/** A moment in seconds since 1970, which may be negative, and 0 to 999,999,999 nanoseconds after it. */
export interface Moment {
  readonly seconds: number
  readonly nanoseconds: number
}

/** `mode` with the file type; `device` by makedev. */
export function makeNode(path: string, mode: number, device: number): void {
  check(natives.mknod(terminated(path), mode, device), 'mknod', readable(path))
}

/** `name` in latin1 as well. */
export function setXattr(path: string, name: string, value: Buffer): void {
  check(
    natives.lsetxattr(terminated(path), name, value, value.length, 0),
    'lsetxattr',
    `${name} on ${readable(path)}`,
  )
}

/** Of a file's extended attributes, in latin1. */
export function xattrNames(path: string): readonly string[] {
  const names = filled('llistxattr', path, (buffer) =>
    natives.llistxattr(terminated(path), buffer, buffer.length),
  )
  return names === undefined ? [] : names.toString('latin1').split('\0').slice(0, -1)
}

/** Undefined when the file has none of that name. */
export const getXattr = (path: string, name: string): Buffer | undefined =>
  filled('lgetxattr', `${name} on ${path}`, (buffer) =>
    natives.lgetxattr(terminated(path), name, buffer, buffer.length),
  )

/** Whether the file system knows attributes of that kind. */
export function canHaveXattr(path: string, name: string): boolean {
  if (Number(natives.lgetxattr(terminated(path), name, filling, filling.length)) >= 0) return true
  return !UNSUPPORTED.includes(new SystemError('lgetxattr', '', koffi.errno()).code)
}

/** Both names of one number. */
const UNSUPPORTED = ['ENOTSUP', 'EOPNOTSUPP']

/** The kernel's limit for names and for a value. */
const filling = Buffer.alloc(65_536)

/** What a call writes into a buffer. */
function filled(syscall: string, subject: string, fill: (buffer: Buffer) => number): Buffer | undefined {
  const size = Number(fill(filling))
  if (size >= 0) return Buffer.from(filling.subarray(0, size))
  const failure = new SystemError(syscall, readable(subject), koffi.errno())
  if (failure.code === 'ENODATA' || UNSUPPORTED.includes(failure.code)) return undefined
  throw failure
}

/** Sets the time of modification and of access. */
export function setTimes(path: string, at: Moment): void {
  check(
    natives.utimensat(AT_FDCWD, terminated(path), timesOf(at), AT_SYMLINK_NOFOLLOW),
    'utimensat',
    readable(path),
  )
}

/** The same of an open file. */
export function setTimesOfFile(fd: number, at: Moment): void {
  check(natives.futimens(fd, timesOf(at)), 'futimens', `fd ${fd}`)
}

/** A path of bytes as a person reads it. */
export const readable = (path: string): string => Buffer.from(path, 'latin1').toString()

const terminated = (path: string): Buffer => Buffer.from(`${path}\0`, 'latin1')

/** One buffer for all calls: the kernel has copied it when a call returns. */
const times = Buffer.alloc(32)
function timesOf({ seconds, nanoseconds }: Moment): Buffer {
  for (const at of [0, 16]) {
    times.writeBigInt64LE(BigInt(seconds), at)
    times.writeBigInt64LE(BigInt(nanoseconds), at + 8)
  }
  return times
}

function check(result: number, syscall: string, subject: string): void {
  if (result !== 0) throw new SystemError(syscall, subject, koffi.errno())
}
