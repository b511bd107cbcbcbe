import {
  type BigIntStats,
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fstatSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
} from 'node:fs'
import { CriError, errnoOf } from '#lib/errors.ts'
import { openInRoot } from '#linux/libc.ts'
import { getXattr, makeNode, setTimes, setXattr, xattrNames } from '#linux/overlay-files.ts'
import { copySparse } from '#linux/sparse-copy.ts'
import { fsPath } from './layer-tree.ts'

const O_PATH = 0o10000000
/** Set by who mounts the copy, and by overlayfs for itself. */
export const NOT_COPIED = /^(?:security\.selinux|trusted\.overlay\.)/

/** The directory at a path of a root file system, links kept inside, in latin1; undefined where there is nothing. */
export function directoryInRoot(root: string, path: string): string | undefined {
  using fds = new DisposableStack()
  const opened = (fd: number): number => fds.adopt(fd, closeSync)
  const rootFd = opened(openSync(root, constants.O_RDONLY | constants.O_DIRECTORY))
  const found = openedInRoot(rootFd, path)
  if (found === undefined) return undefined
  opened(found)
  if (fstatSync(found).isDirectory()) return readlinkSync(`/proc/self/fd/${found}`, 'latin1')
  throw new CriError(
    'failed-precondition',
    `the image has a VOLUME at ${path}, and a file there: mount something at that path, or mend the image`,
  )
}

function openedInRoot(rootFd: number, path: string): number | undefined {
  try {
    return openInRoot(rootFd, path, O_PATH)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) return undefined
    throw error
  }
}

/**
 * Makes `to` a copy of `from`: owners, modes, times, links, devices and extended attributes as they are. Paths are
 * bytes in latin1. `copied`: where files of several names went, by inode.
 */
export function copyTree(from: string, to: string, copied = new Map<string, string>()): void {
  const stat = lstatSync(fsPath(from), { bigint: true })
  const key = `${stat.dev}:${stat.ino}`
  const first = stat.isDirectory() ? undefined : copied.get(key)
  if (first !== undefined) {
    linkSync(fsPath(first), fsPath(to))
    return
  }
  if (stat.nlink > 1n && !stat.isDirectory()) copied.set(key, to)
  makeLike(from, to, stat)
  if (stat.isDirectory()) {
    for (const name of readdirSync(fsPath(from), 'latin1'))
      copyTree(`${from}/${name}`, `${to}/${name}`, copied)
  }
  copyAttributes(from, to, stat)
}

function makeLike(from: string, to: string, stat: BigIntStats): void {
  if (stat.isDirectory()) mkdirSync(fsPath(to), { mode: 0o700 })
  else if (stat.isFile()) copyFile(from, to, stat)
  else if (stat.isSymbolicLink()) symlinkSync(readlinkSync(fsPath(from), 'buffer'), fsPath(to))
  else makeNode(to, Number(stat.mode), Number(stat.rdev))
}

/** A sparse file stays one: it may be larger than the disk. Others share their blocks where the file system can. */
function copyFile(from: string, to: string, { size, blocks }: BigIntStats): void {
  if (blocks * 512n >= size) {
    copyFileSync(fsPath(from), fsPath(to), constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL)
    return
  }
  using fds = new DisposableStack()
  const opened = (path: string, flags: number): number =>
    fds.adopt(openSync(fsPath(path), flags | constants.O_NOFOLLOW, 0o600), closeSync)
  const source = opened(from, constants.O_RDONLY)
  const target = opened(to, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL)
  copySparse(source, target, Number(size))
}

/** In this order: a new owner takes set-user-id bits and capabilities away, a change of either the time. */
export function copyAttributes(from: string, to: string, stat: BigIntStats): void {
  lchownSync(fsPath(to), Number(stat.uid), Number(stat.gid))
  if (!stat.isSymbolicLink()) chmodSync(fsPath(to), Number(stat.mode) & 0o7777)
  for (const name of xattrNames(from)) {
    const value = NOT_COPIED.test(name) ? undefined : getXattr(from, name)
    if (value !== undefined) setXattr(to, name, value)
  }
  const second = 1_000_000_000n
  const nanoseconds = ((stat.mtimeNs % second) + second) % second
  setTimes(to, { seconds: Number((stat.mtimeNs - nanoseconds) / second), nanoseconds: Number(nanoseconds) })
}
