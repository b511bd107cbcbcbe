import { closeSync, constants, openSync } from 'node:fs'
import { constants as osConstants } from 'node:os'
import { join } from 'node:path'
import koffi from 'koffi'
import { CriError, errnoOf } from '#lib/errors.ts'
import { SystemError } from './libc.ts'

/** Sockets that keep the bounds of what is sent (SOCK_SEQPACKET), which Node does not offer: by FFI as in libc.ts. */
const libc = koffi.load('libc.so.6')
const natives = {
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  connect: libc.func('int connect(int fd, void *address, unsigned int length)'),
  recv: libc.func('long recv(int fd, void *buffer, size_t size, int flags)'),
  send: libc.func('long send(int fd, void *buffer, size_t size, int flags)'),
  shutdown: libc.func('int shutdown(int fd, int how)'),
}

const { EAGAIN, ECONNRESET, EINTR, ENOBUFS, ENOTCONN, EPIPE } = osConstants.errno
const AF_UNIX = 1
const SOCK_SEQPACKET_NONBLOCK_CLOEXEC = 5 | 0o4000 | 0o2000000
const SUN_PATH_BYTES = 108
const O_PATH = 0o10000000
const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000
const SHUT_WR = 1

export const openSeqpacket = (): number =>
  check(natives.socket(AF_UNIX, SOCK_SEQPACKET_NONBLOCK_CLOEXEC, 0), 'socket', 'seqpacket')

/** A connection to the attach socket of a container's monitor, which has yet to accept it. */
export function connectToMonitor(id: string, bundleDirectory: string): number {
  const path = join(bundleDirectory, 'attach')
  try {
    return connectIn(bundleDirectory, 'attach')
  } catch (error) {
    const code = errnoOf(error)
    const what = `container ${id}: its monitor does not take attachments: connect ${path}: ${code}`
    if (code === 'EAGAIN') {
      const why = 'too many wait for it already, or it hangs'
      throw new CriError('unavailable', `${what}: ${why}: attach again in a moment`, { cause: error })
    }
    if (code !== 'ENOENT' && code !== 'ECONNREFUSED') throw error
    const remedy = 'it has ended: attach to a container that runs'
    throw new CriError('failed-precondition', `${what}: ${remedy}`, { cause: error })
  }
}

/** By way of the directory's descriptor: its path may be longer than an address. */
function connectIn(directory: string, name: string): number {
  const directoryFd = openSync(directory, O_PATH | constants.O_DIRECTORY)
  try {
    const fd = openSeqpacket()
    const address = unixAddress(`/proc/self/fd/${directoryFd}/${name}`)
    if (natives.connect(fd, address, address.length) === 0) return fd
    const failure = new SystemError('connect', join(directory, name), koffi.errno())
    closeSync(fd)
    throw failure
  } finally {
    closeSync(directoryFd)
  }
}

/** struct sockaddr_un. */
export function unixAddress(path: string): Buffer {
  const address = Buffer.alloc(2 + SUN_PATH_BYTES)
  address.writeUInt16LE(AF_UNIX, 0)
  address.write(path, 2)
  return address
}

/** The size of the next packet, which is put into `buffer`; 0 at the end, undefined when none has come yet. */
export function receivePacket(fd: number, buffer: Buffer): number | undefined {
  const sizeBytes = Number(natives.recv(fd, buffer, buffer.length, MSG_DONTWAIT_NOSIGNAL))
  if (sizeBytes >= 0) return sizeBytes
  const errno = koffi.errno()
  // A peer that ended with our packets unread resets the connection: what it had sent can still be received.
  if (errno === EAGAIN || errno === EINTR || errno === ECONNRESET) return undefined
  throw new SystemError('recv', `fd ${fd}`, errno)
}

/** `full`: the peer has yet to read what it was sent; `closed`: it will read no more. */
export function sendPacket(fd: number, packet: Uint8Array): 'sent' | 'full' | 'closed' {
  if (Number(natives.send(fd, packet, packet.length, MSG_DONTWAIT_NOSIGNAL)) >= 0) return 'sent'
  const errno = koffi.errno()
  if (errno === EAGAIN || errno === EINTR || errno === ENOBUFS) return 'full'
  if (errno === EPIPE || errno === ECONNRESET || errno === ENOTCONN) return 'closed'
  throw new SystemError('send', `fd ${fd}`, errno)
}

/** The peer reads an end after what it was sent; what it sends still comes. */
export function endSending(fd: number): void {
  natives.shutdown(fd, SHUT_WR) // It fails only when the peer has gone.
}

function check(result: number, syscall: string, subject: string): number {
  if (result >= 0) return result
  throw new SystemError(syscall, subject, koffi.errno())
}
