import { closeSync, constants, openSync, rmSync } from 'node:fs'
import { constants as osConstants } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import koffi from 'koffi'
import { SystemError } from './libc.ts'
import { unixAddress } from './seqpacket.ts'

const libc = koffi.load('libc.so.6')
const natives = {
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  bind: libc.func('int bind(int fd, void *address, unsigned int length)'),
  listen: libc.func('int listen(int fd, int backlog)'),
  accept: libc.func('int accept4(int fd, void *address, void *length, int flags)'),
  receive: libc.func('long recvmsg(int fd, void *message, int flags)'),
}
const AF_UNIX = 1
const SOCK_STREAM = 1
const NONBLOCK_CLOEXEC = 0o4000 | 0o2000000
const MSG_CMSG_CLOEXEC = 0x40000000
const O_PATH = 0o10000000
const LOOK_MS = 2

/** Where an OCI runtime hands over the terminal that it makes in a container (runc's docs/terminals.md). */
export interface ConsoleSocket extends Disposable {
  /** To be inherited by the runtime as descriptor `asFd`, for `path`. */
  readonly directoryFd: number
  /** As the runtime sees it; short, wherever the directory lies. */
  path(asFd: number): string
  /** Our end of the terminal; undefined when none has come by the time that `isOver`. */
  receive(isOver: () => boolean): Promise<number | undefined>
}

/** Listens in a directory under a name that nothing there has. */
export function openConsoleSocket(directory: string, name: string): ConsoleSocket {
  using opened = new DisposableStack()
  const own = (fd: number): number => opened.adopt(fd, closeSync)
  const directoryFd = own(openSync(directory, O_PATH | constants.O_DIRECTORY))
  const listener = own(check(natives.socket(AF_UNIX, SOCK_STREAM | NONBLOCK_CLOEXEC, 0), 'socket', 'console'))
  const address = unixAddress(`/proc/self/fd/${directoryFd}/${name}`)
  check(natives.bind(listener, address, address.length), 'bind', join(directory, name))
  opened.defer(() => rmSync(join(directory, name), { force: true }))
  check(natives.listen(listener, 1), 'listen', join(directory, name))
  let connection: number | undefined
  const take = (): number | undefined => {
    connection ??= accepted(listener)
    return connection === undefined ? undefined : descriptorFrom(connection)
  }
  opened.defer(() => {
    if (connection !== undefined) closeSync(connection)
  })
  const owned = opened.move()
  return {
    directoryFd,
    path: (asFd) => `/proc/self/fd/${asFd}/${name}`,
    async receive(isOver) {
      for (;;) {
        const over = isOver()
        const terminal = take()
        if (terminal !== undefined || over) return terminal
        await sleep(LOOK_MS)
      }
    },
    [Symbol.dispose]: () => owned.dispose(),
  }
}

function accepted(listener: number): number | undefined {
  const fd = natives.accept(listener, null, null, NONBLOCK_CLOEXEC)
  if (fd >= 0) return fd
  const errno = koffi.errno()
  if (errno === osConstants.errno.EAGAIN) return undefined
  throw new SystemError('accept', 'console', errno)
}

/** The descriptor that comes with a message (unix(7), SCM_RIGHTS); undefined while none has come. */
function descriptorFrom(connection: number): number | undefined {
  const text = Buffer.alloc(256) // The terminal's name in the container.
  const control = Buffer.alloc(24) // struct cmsghdr: length, level, type; then one descriptor.
  const part = Buffer.alloc(16) // struct iovec
  part.writeBigUInt64LE(koffi.address(text), 0)
  part.writeBigUInt64LE(BigInt(text.length), 8)
  const message = Buffer.alloc(56) // struct msghdr: name, iov at 16, its count, control at 32, its length
  message.writeBigUInt64LE(koffi.address(part), 16)
  message.writeBigUInt64LE(1n, 24)
  message.writeBigUInt64LE(koffi.address(control), 32)
  message.writeBigUInt64LE(BigInt(control.length), 40)
  const sizeBytes = Number(natives.receive(connection, message, MSG_CMSG_CLOEXEC))
  if (sizeBytes < 0 && koffi.errno() !== osConstants.errno.EAGAIN) {
    throw new SystemError('recvmsg', 'console', koffi.errno())
  }
  const hasDescriptor = sizeBytes > 0 && message.readBigUInt64LE(40) >= 20n
  return hasDescriptor ? control.readInt32LE(16) : undefined
}

function check(result: number, syscall: string, subject: string): number {
  if (result >= 0) return result
  throw new SystemError(syscall, subject, koffi.errno())
}
