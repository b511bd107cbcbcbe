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
