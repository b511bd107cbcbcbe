import { closeSync } from 'node:fs'
import koffi from 'koffi'
import { SystemError } from './libc.ts'

/** The mount calls by file descriptors (Linux 5.2, mount_setattr 5.12), which glibc 2.35 and older have no names for. */
const libc = koffi.load('libc.so.6')
const natives = {
  openTree: libc.func('long syscall(long number, long dirfd, const char *path, unsigned int flags)'),
  moveMount: libc.func(
    'long syscall(long number, long fromFd, const char *from, long toFd, const char *to, unsigned int flags)',
  ),
  setAttributes: libc.func(
    'long syscall(long number, long dirfd, const char *path, unsigned int flags, void *attributes, size_t size)',
  ),
}
const SYS_OPEN_TREE = 428
const SYS_MOVE_MOUNT = 429
const SYS_MOUNT_SETATTR = 442
const AT_FDCWD = -100
const AT_EMPTY_PATH = 0x1000
const AT_RECURSIVE = 0x8000
const OPEN_TREE_CLONE = 0x1
const OPEN_TREE_CLOEXEC = 0o2000000
const MOVE_MOUNT_F_EMPTY_PATH = 0x4
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
    attach: (target) =>
      void check(
        'move_mount',
        `${path} to ${target}`,
        natives.moveMount(SYS_MOVE_MOUNT, fd, '', AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH),
      ),
    [Symbol.dispose]: () => closeSync(fd),
  }
}

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
