import { chmodSync, lchownSync } from 'node:fs'
import { errnoOf, invalidArgument } from '#lib/errors.ts'
import { readable, setTimes, setXattr } from '#linux/overlay-files.ts'
import { fsPath } from './layer-tree.ts'
import type { TarEntry } from './tar-entry.ts'

const ID_LIMIT = 0xffff_fffe

/** Gives a file what its entry says of it; its path in latin1. In this order: each takes away what comes behind it. */
export function setAttributes(absolute: string, entry: TarEntry): void {
  lchownSync(fsPath(absolute), entry.uid, entry.gid)
  if (entry.type !== 'symbolic-link') chmodSync(fsPath(absolute), entry.mode)
  setXattrs(absolute, entry)
  setTimes(absolute, entry.mtime)
}

/** Throws invalid-argument for those that no file can have. */
export function setXattrs(absolute: string, entry: TarEntry): void {
  for (const [name, value] of entry.xattrs) if (!isHostsOwn(name)) setOne(absolute, name, value, entry)
}

/** One that the file system does not have is left out, but for capabilities. */
function setOne(absolute: string, name: string, value: Buffer, entry: TarEntry): void {
  try {
    setXattr(absolute, name, value)
  } catch (error) {
    const code = errnoOf(error) ?? ''
    if (['EINVAL', 'E2BIG', 'ERANGE', 'EPERM'].includes(code)) {
      const what = `${readable(entry.name)} has the extended attribute ${name}`
      throw invalidArgument(`${what}, which no file can have`, { cause: error })
    }
    const isUnsupported = code === 'ENOTSUP' || code === 'EOPNOTSUPP'
    if (!isUnsupported || name === 'security.capability') throw error
  }
}

/** Of each in memory, besides its name and value. */
const XATTR_COST_BYTES = 100
const noXattrs: ReadonlyMap<string, Buffer> = new Map()

/**
 * The extended attributes that a file gets, to be kept, and how much memory that takes. As they come, the smallest of
 * them keeps all of its header in memory.
 */
export function keptXattrs({ xattrs }: Pick<TarEntry, 'xattrs'>) {
  if (xattrs.size === 0) return { xattrs: noXattrs, sizeBytes: 0 }
  const wanted = [...xattrs].filter(([name]) => !isHostsOwn(name))
  const values = Buffer.allocUnsafeSlow(wanted.reduce((sum, [, { length }]) => sum + length, 0))
  let end = 0
  let sizeBytes = 0
  const kept = wanted.map(([name, value]) => {
    const at = end
    end += value.copy(values, at)
    sizeBytes += name.length + value.length + XATTR_COST_BYTES
    return [name, values.subarray(at, end)] as const
  })
  return { xattrs: new Map(kept), sizeBytes }
}

export function checkOwner({ name, uid, gid }: TarEntry): void {
  if (Math.max(uid, gid) <= ID_LIMIT && Math.min(uid, gid) >= 0) return
  throw invalidArgument(`${readable(name)} has the owner ${uid}:${gid}, which no file can have`)
}

/** Marks by which overlayfs would look elsewhere, and labels that belong to the machine the image was built on. */
export function isHostsOwn(name: string): boolean {
  return /^(trusted|user)\.overlay\./.test(name) || name === 'security.selinux'
}
