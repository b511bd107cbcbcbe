import { closeSync, readSync } from 'node:fs'
import koffi from 'koffi'
import { SystemError } from './libc.ts'

/** The mount calls by file descriptors (Linux 5.2, mount_setattr 5.12), which glibc 2.35 and older have no names for. */
const libc = koffi.load('libc.so.6')
const natives = {
  openTree: libc.func('long syscall(long number, long dirfd, const char *path, unsigned int flags)'),
  moveMount: libc.func(
    'long syscall(long number, long fromFd, const char *from, long toFd, const char *to, unsigned int flags)',
  ),
  fsopen: libc.func('long syscall(long number, const char *type, unsigned int flags)'),
  fsconfig: libc.func(
    'long syscall(long number, long fd, unsigned int command, const char *key, const char *value, int aux)',
  ),
  fsmount: libc.func('long syscall(long number, long fd, unsigned int flags, unsigned int attributes)'),
  setAttributes: libc.func(
    'long syscall(long number, long dirfd, const char *path, unsigned int flags, void *attributes, size_t size)',
  ),
}
const SYS_OPEN_TREE = 428
const SYS_MOVE_MOUNT = 429
const SYS_FSOPEN = 430
const SYS_FSCONFIG = 431
const SYS_FSMOUNT = 432
const SYS_MOUNT_SETATTR = 442
const AT_FDCWD = -100
const AT_EMPTY_PATH = 0x1000
const AT_RECURSIVE = 0x8000
const OPEN_TREE_CLONE = 0x1
const OPEN_TREE_CLOEXEC = 0o2000000
const MOVE_MOUNT_F_EMPTY_PATH = 0x4
const FSOPEN_CLOEXEC = 1
const FSMOUNT_CLOEXEC = 1
const FSCONFIG_SET_FLAG = 0
const FSCONFIG_SET_STRING = 1
const FSCONFIG_CMD_CREATE = 6
const MOUNT_ATTR_IDMAP = 0x00100000n
const MS_SLAVE = 1n << 19n

/** A copy of mounts that is attached nowhere yet: it is gone when it is disposed, unless it was attached before. */
export interface DetachedMount extends Disposable {
  readonly fd: number
  /** Maps the ids of its files by a user namespace; `recursive`: of all mounts in it, or of none when one can't. */
  mapIds(userNamespaceFd: number, recursive: boolean): void
  /** What is mounted in or unmounted from it is its own affair; what happens to its origin still reaches it. */
  makeSlave(): void
  attach(target: string): void
}

/** Copies what is mounted at `path`, with all mounts below it or without. */
export function cloneMount(path: string, recursive: boolean): DetachedMount {
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0)
  const fd = check('open_tree', path, natives.openTree(SYS_OPEN_TREE, AT_FDCWD, path, flags))
  const setAttributes = (attributes: Attributes, flags: number): void =>
    void check('mount_setattr', path, setOf(fd, attributes, flags))
  return {
    fd,
    mapIds: (userNamespaceFd, all) =>
      setAttributes({ set: MOUNT_ATTR_IDMAP, userNamespaceFd }, all ? AT_RECURSIVE : 0),
    makeSlave: () => setAttributes({ propagation: MS_SLAVE }, AT_RECURSIVE),
    attach: (target) => attach(fd, path, target),
    [Symbol.dispose]: () => closeSync(fd),
  }
}

/** A file system that is being put together (fsopen, fsconfig): its options one by one, each at most 255 bytes long. */
export interface FilesystemContext extends Disposable {
  /** Without a value: a flag. Throws a SystemError with what the kernel says of it. */
  set(key: string, value?: string): void
  /** `attributes`: MS_RDONLY, MS_NOSUID and MS_NODEV have the same numbers here. */
  mountOn(target: string, attributes: number): void
}

export function openFilesystem(type: string): FilesystemContext {
  const fd = check('fsopen', type, natives.fsopen(SYS_FSOPEN, type, FSOPEN_CLOEXEC))
  const configure = (command: number, key: string | null, value: string | null): void => {
    const result = natives.fsconfig(SYS_FSCONFIG, fd, command, key, value, 0)
    if (Number(result) >= 0) return
    const errno = koffi.errno()
    const subject = [type, key, value].filter((word) => word !== null).join(' ')
    throw new SystemError('fsconfig', `${subject}${complaintsOf(fd)}`, errno)
  }
  return {
    set: (key, value) =>
      configure(value === undefined ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING, key, value ?? null),
    mountOn(target, attributes) {
      configure(FSCONFIG_CMD_CREATE, null, null)
      const mounted = check(
        'fsmount',
        `${type} on ${target}`,
        natives.fsmount(SYS_FSMOUNT, fd, FSMOUNT_CLOEXEC, attributes),
      )
      try {
        attach(mounted, type, target)
      } finally {
        closeSync(mounted)
      }
    },
    [Symbol.dispose]: () => closeSync(fd),
  }
}

/** What the kernel wrote down of a context: a message a read, `e overlay: …`. */
function complaintsOf(fd: number): string {
  const messages: string[] = []
  const message = Buffer.alloc(1024)
  try {
    for (let length = readSync(fd, message); length > 0; length = readSync(fd, message)) {
      messages.push(message.toString('utf8', 0, length).trim())
    }
  } catch {} // ENODATA: that was all.
  return messages.length === 0 ? '' : ` (${messages.join('; ')})`
}

const attach = (fd: number, subject: string, target: string): void =>
  void check(
    'move_mount',
    `${subject} to ${target}`,
    natives.moveMount(SYS_MOVE_MOUNT, fd, '', AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH),
  )

interface Attributes {
  readonly set?: bigint
  readonly propagation?: bigint
  readonly userNamespaceFd?: number
}

function setOf(
  fd: number,
  { set = 0n, propagation = 0n, userNamespaceFd = 0 }: Attributes,
  flags: number,
): number {
  const attributes = Buffer.alloc(32) // struct mount_attr: set, clear, propagation, user namespace
  attributes.writeBigUInt64LE(set, 0)
  attributes.writeBigUInt64LE(propagation, 16)
  attributes.writeBigUInt64LE(BigInt(userNamespaceFd), 24)
  return natives.setAttributes(
    SYS_MOUNT_SETATTR,
    fd,
    '',
    AT_EMPTY_PATH | flags,
    attributes,
    attributes.length,
  )
}

function check(syscall: string, subject: string, result: number | bigint): number {
  if (Number(result) >= 0) return Number(result)
  throw new SystemError(syscall, subject, koffi.errno())
}
