import { closeSync } from 'node:fs'
import { constants } from 'node:os'
import koffi from 'koffi'

/**
 * The system calls that Node does not offer, by FFI on glibc (64 bit). Each throws a SystemError on failure.
 * Structures are passed as buffers: sizes and offsets are those of the x86-64 and arm64 ABIs, which agree here.
 */
const libc = koffi.load('libc.so.6')

/** A failed system call: `umount2 /run/x: EBUSY`. */
export class SystemError extends Error {
  override readonly name = 'SystemError'
  readonly code: string
  readonly syscall: string

  constructor(syscall: string, subject: string, errno: number) {
    const code = nameOfErrno.get(errno) ?? `errno ${errno}`
    super(subject === '' ? `${syscall}: ${code}` : `${syscall} ${subject}: ${code}`)
    this.syscall = syscall
    this.code = code
  }
}

/** Of two names of one number the first: EAGAIN, not EWOULDBLOCK. Node does not know ENOTBLK. */
const nameOfErrno = new Map(
  Object.entries({ ...constants.errno, ENOTBLK: 15 })
    .toReversed()
    .map(([name, value]) => [value, name]),
)

type Argument = string | number | bigint | null | Buffer | readonly (string | null)[]
type Native = ((...args: Argument[]) => number) & {
  async: (...args: [...Argument[], (error: Error | null, result: number) => void]) => void
}

const declare = (prototype: string): Native => libc.func(prototype) as unknown as Native

/** Calls, and throws by errno where the answer is -1. `subject` names what the call was about. */
function call(native: Native, syscall: string, subject: string, ...args: Argument[]): number {
  const result = native(...args)
  if (result === -1) throw new SystemError(syscall, subject, koffi.errno())
  return result
}

/** The same on a thread of libuv's pool, for calls that may block; errno is not carried over by it. */
function callAsync(native: Native, ...args: Argument[]): Promise<number> {
  return new Promise((resolve, reject) => {
    native.async(...args, (error, result) => (error === null ? resolve(result) : reject(error)))
  })
}

const natives = {
  mount: declare(
    'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
  ),
  umount2: declare('int umount2(const char *target, int flags)'),
  unshare: declare('int unshare(int flags)'),
  setns: declare('int setns(int fd, int type)'),
  sethostname: declare('int sethostname(const char *name, size_t length)'),
  socket: declare('int socket(int domain, int type, int protocol)'),
  ioctl: declare('int ioctl(int fd, unsigned long request, void *argument)'),
  pipe2: declare('int pipe2(void *fds, int flags)'),
  memfd: declare('int memfd_create(const char *name, unsigned int flags)'),
  flock: declare('int flock(int fd, int operation)'),
  syncfs: declare('int syncfs(int fd)'),
  lsetxattr: declare(
    'int lsetxattr(const char *path, const char *name, void *value, size_t size, int flags)',
  ),
  lgetxattr: declare('long lgetxattr(const char *path, const char *name, void *value, size_t size)'),
  statvfs: declare('int statvfs(const char *path, void *result)'),
  syscall2: declare('long syscall(long number, long a, long b)'),
  openat2: declare('long syscall(long number, long dirfd, const char *path, void *how, size_t size)'),
  pidfdSignal: declare('long syscall(long number, int pidfd, int signal, void *info, unsigned int flags)'),
}

export const MS_RDONLY = 0x1
export const MS_NOSUID = 0x2
export const MS_NODEV = 0x4
export const MS_NOEXEC = 0x8
export const MS_BIND = 0x1000
export const MNT_DETACH = 0x2
export const CLONE_NEWUTS = 0x04000000
export const CLONE_NEWIPC = 0x08000000
export const CLONE_NEWNET = 0x40000000
export const LOCK_SH = 1
export const LOCK_EX = 2
export const LOCK_NB = 4
const O_CLOEXEC = 0o2000000
const AF_INET = 2
const AF_INET6 = 10
const SOCK_DGRAM_CLOEXEC = 2 | O_CLOEXEC
const SOCK_STREAM_NONBLOCK_CLOEXEC = 1 | 0o4000 | O_CLOEXEC
const SYS_PIDFD_SEND_SIGNAL = 424
const SYS_PIDFD_OPEN = 434
const SYS_OPENAT2 = 437

export function mount(source: string, target: string, type: string, flags: number, data = ''): void {
  call(natives.mount, 'mount', `${source} on ${target}`, source, target, type, flags, data)
}

/** The flags of the mount that a path lies on: MS_NOSUID, MS_NODEV and MS_NOEXEC have the numbers of mount(2). */
export function mountFlags(path: string): number {
  const result = Buffer.alloc(128) // struct statvfs: f_flag is the tenth long.
  call(natives.statvfs, 'statvfs', path, path, result)
  return Number(result.readBigUInt64LE(72))
}

/** On a pool thread: it waits for the kernel's grace period. Succeeds when nothing is mounted or there. */
export async function unmount(target: string, flags = MNT_DETACH): Promise<void> {
  for (;;) {
    if ((await callAsync(natives.umount2, target, flags)) === 0) return
    // The pool thread kept its errno: ask again on this one, which fails the same way and at once.
    if (natives.umount2(target, flags) === 0) return
    const failure = new SystemError('umount2', target, koffi.errno())
    if (failure.code === 'EINVAL' || failure.code === 'ENOENT') return
    throw failure
  }
}

/** Only between two synchronous calls on the main thread: see linux/namespaces.ts. */
export const unshare = (flags: number): void => void call(natives.unshare, 'unshare', '', flags)
export const setns = (fd: number, type: number): void => void call(natives.setns, 'setns', '', fd, type)
export const sethostname = (name: string): void =>
  void call(natives.sethostname, 'sethostname', name, name, Buffer.byteLength(name))

/** Sets the loopback device of the current network namespace up. */
export function setLoopbackUp(): void {
  const fd = call(natives.socket, 'socket', '', AF_INET, SOCK_DGRAM_CLOEXEC, 0)
  try {
    const request = Buffer.alloc(40) // struct ifreq: the name, then at 16 the flags
    request.write('lo')
    request.writeInt16LE(0x1 | 0x40, 16) // IFF_UP | IFF_RUNNING
    call(natives.ioctl, 'ioctl', 'SIOCSIFFLAGS lo', fd, 0x8914, request)
  } finally {
    closeSync(fd)
  }
}

/** A TCP socket of the current network namespace, not connected, not inherited. */
export const streamSocket = (family: 4 | 6): number =>
  call(
    natives.socket,
    'socket',
    `IPv${family}`,
    family === 4 ? AF_INET : AF_INET6,
    SOCK_STREAM_NONBLOCK_CLOEXEC,
    0,
  )

/** A pipe whose ends are not inherited: [read, write]. */
export function pipe(): readonly [number, number] {
  const fds = Buffer.alloc(8)
  call(natives.pipe2, 'pipe2', '', fds, O_CLOEXEC)
  return [fds.readInt32LE(0), fds.readInt32LE(4)]
}

/**
 * The reading end of a pipe that nobody writes to, for a command without input: crun gives its own stdio to the user of
 * the command (before 1.24), and /dev/null is the whole host's.
 */
export function emptyPipe(): number {
  const [read, write] = pipe()
  closeSync(write)
  return read
}

/** A file in memory, not inherited. */
export const memoryFile = (name: string): number => call(natives.memfd, 'memfd_create', name, name, 1)

/** True when the lock was taken; false when somebody else holds it (with LOCK_NB). */
export function flock(fd: number, operation: number): boolean {
  if (natives.flock(fd, operation) === 0) return true
  const failure = new SystemError('flock', `fd ${fd}`, koffi.errno())
  if (failure.code === 'EAGAIN') return false
  throw failure
}

/** Writes out the file system that `fd` lies on; on a pool thread. */
export async function syncfs(fd: number): Promise<void> {
  if ((await callAsync(natives.syncfs, fd)) === 0) return
  call(natives.syncfs, 'syncfs', `fd ${fd}`, fd) // Again, for its errno.
}

/** A device number from its two parts, as makedev(3). */
export const makedev = (major: number, minor: number): number =>
  Number(
    (BigInt(major & ~0xfff) << 32n) |
      (BigInt(major & 0xfff) << 8n) |
      (BigInt(minor & ~0xff) << 12n) |
      BigInt(minor & 0xff),
  )

/** Undefined when the file has no such attribute. */
export function getExtendedAttribute(path: string, name: string): Buffer | undefined {
  const value = Buffer.alloc(4096)
  const size = natives.lgetxattr(path, name, value, value.length)
  if (size >= 0) return value.subarray(0, size)
  const failure = new SystemError('lgetxattr', `${name} on ${path}`, koffi.errno())
  if (failure.code === 'ENODATA') return undefined
  throw failure
}

/** A file descriptor of a process (not inherited); undefined when there is none of that id. */
export function openPidfd(pid: number): number | undefined {
  const fd = Number(natives.syscall2(SYS_PIDFD_OPEN, pid, 0))
  if (fd >= 0) return fd
  const failure = new SystemError('pidfd_open', `${pid}`, koffi.errno())
  if (failure.code === 'ESRCH') return undefined
  throw failure
}

/** False when the process is gone. */
export function signalPidfd(pidfd: number, signal: number): boolean {
  if (Number(natives.pidfdSignal(SYS_PIDFD_SEND_SIGNAL, pidfd, signal, null, 0)) === 0) return true
  const failure = new SystemError('pidfd_send_signal', `signal ${signal}`, koffi.errno())
  if (failure.code === 'ESRCH') return false
  throw failure
}

/** Opens `path` with links resolved as if `rootFd` were the root directory: nothing outside is reached. */
export function openInRoot(rootFd: number, path: string, flags: number): number {
  const how = Buffer.alloc(24) // struct open_how: flags, mode, resolve
  how.writeBigUInt64LE(BigInt(flags | O_CLOEXEC), 0)
  how.writeBigUInt64LE(0x10n | 0x02n, 16) // RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
  return Number(call(natives.openat2, 'openat2', path, SYS_OPENAT2, rootFd, path, how, how.length))
}
