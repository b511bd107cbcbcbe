import {
  type BigIntStats,
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
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
import { fsPath } from './layer-tree.ts'

const O_PATH = 0o10000000
/** Set by who mounts the copy, and by overlayfs for itself. */
const NOT_COPIED = /^(?:security\.selinux|trusted\.overlay\.)/

/**
 * Makes `target` a copy of what the root file system has at a path, links kept inside: owners, modes, times, links,
 * devices and extended attributes as they are. Where it has nothing, an empty directory of the root's owner.
 */
export function copyFromRoot(root: string, path: string, target: string): void {
  using fds = new DisposableStack()
  const opened = (fd: number): number => fds.adopt(fd, closeSync)
  const rootFd = opened(openSync(root, constants.O_RDONLY | constants.O_DIRECTORY))
  const found = openedInRoot(rootFd, path)
  if (found === undefined) {
    const { uid, gid } = lstatSync(root)
    mkdirSync(target, { mode: 0o755 })
    chmodSync(target, 0o755)
    lchownSync(target, uid, gid)
    return
  }
  opened(found)
  const source = readlinkSync(`/proc/self/fd/${found}`, 'latin1')
  if (!lstatSync(fsPath(source)).isDirectory()) {
    throw new CriError(
      'failed-precondition',
      `the image has a VOLUME at ${path}, and a file there: mount something at that path, or mend the image`,
    )
  }
  copyTree(source, Buffer.from(target).toString('latin1'), new Map())
}

function openedInRoot(rootFd: number, path: string): number | undefined {
  try {
    return openInRoot(rootFd, path, O_PATH)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) return undefined
    throw error
  }
}

/** Paths are bytes in latin1. `copied`: where files of several names went, by inode. */
function copyTree(from: string, to: string, copied: Map<string, string>): void {
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
  else if (stat.isFile())
    copyFileSync(fsPath(from), fsPath(to), constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL)
  else if (stat.isSymbolicLink()) symlinkSync(readlinkSync(fsPath(from), 'buffer'), fsPath(to))
  else makeNode(to, Number(stat.mode), Number(stat.rdev))
}

/** In this order: a new owner takes set-user-id bits and capabilities away, a change of either the time. */
function copyAttributes(from: string, to: string, stat: BigIntStats): void {
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
