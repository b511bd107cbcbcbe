import { lstatSync, mkdirSync, readFileSync, readlinkSync, realpathSync, type Stats, statSync } from 'node:fs'
import { CriError, type ErrorKind, errnoOf } from '#lib/errors.ts'
import type { MountSource, MountSourceRequest } from '#runtime/ports.ts'
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, mountFlags } from './libc.ts'
import { mountOf } from './mountinfo.ts'
import { selinuxLabelOf } from './selinux-label.ts'

type Propagation = NonNullable<MountSource['propagation']>

/**
 * The file that a mount's host path leads to; a missing one becomes a directory (0755), as with containerd and
 * CRI-O, unless it must exist. A link to nothing is refused: what it should be nobody knows. May hang: call it in
 * a worker.
 */
export function resolveMountSource(
  hostPath: string,
  { propagates = false, mustExist = false, labelled = false }: MountSourceRequest = {},
): MountSource {
  if (!hostPath.startsWith('/')) {
    throw new CriError(
      'invalid-argument',
      `mount source "${hostPath}" is not absolute: give a path that begins with /`,
    )
  }
  const path = explain(hostPath, () => existing(hostPath) ?? (mustExist ? missing(hostPath) : made(hostPath)))
  const kind = kindOf(explain(hostPath, () => statSync(path)))
  const source = {
    ...{ path, kind, restrictions: explain(hostPath, () => restrictionsOf(mountFlags(path))) },
    ...(labelled ? { selinuxLabel: explain(hostPath, () => selinuxLabelOf(Buffer.from(path))) } : {}),
  }
  if (!propagates) return source
  return { ...source, propagation: propagationOf(path, readFileSync('/proc/self/mountinfo', 'utf8')) }
}

const restrictions = [
  [MS_NOSUID, 'nosuid'],
  [MS_NODEV, 'nodev'],
  [MS_NOEXEC, 'noexec'],
] as const

const restrictionsOf = (flags: number): MountSource['restrictions'] =>
  restrictions.flatMap(([flag, name]) => ((flags & flag) === 0 ? [] : [name]))

function missing(path: string): never {
  throw new CriError(
    'failed-precondition',
    `mount source ${path} does not exist, and by configuration it must: create it, or give another path`,
  )
}

/** Of the mount that a path lies on. */
export function propagationOf(path: string, mountinfo: string): Propagation {
  const tags = mountOf(path, mountinfo)?.tags ?? ''
  if (tags.includes('shared:')) return 'shared'
  return tags.includes('master:') ? 'slave' : 'private'
}

function existing(path: string): string | undefined {
  try {
    return realpathSync.native(path)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
    const link = lstatSync(path, { throwIfNoEntry: false })
    if (link?.isSymbolicLink() !== true) return undefined
    throw new CriError(
      'invalid-argument',
      `mount source ${path} is a link to ${readlinkSync(path)}, which does not exist: create that, or mount another path`,
    )
  }
}

function made(path: string): string {
  mkdirSync(path, { recursive: true, mode: 0o755 })
  return realpathSync.native(path)
}

const kindOf = (stat: Stats): MountSource['kind'] =>
  stat.isDirectory() ? 'directory' : stat.isFile() ? 'file' : 'other'

const reasons: { readonly [code: string]: readonly [ErrorKind, string] } = {
  ENOTDIR: ['invalid-argument', 'a part of it is not a directory: give another path'],
  EEXIST: ['invalid-argument', 'a part of it is a file or a link to nothing: give another path'],
  ENOENT: [
    'invalid-argument',
    'a part of it is a link to nothing: create what it leads to, or give another path',
  ],
  ELOOP: ['invalid-argument', 'its links lead in a circle: give another path'],
  ENAMETOOLONG: ['invalid-argument', 'it is too long: give a shorter path'],
  EROFS: [
    'failed-precondition',
    'it does not exist and its file system is read-only: create it, or give another path',
  ],
  ENOSPC: ['resource-exhausted', 'it does not exist and its file system is full: free some space'],
  ESTALE: ['unavailable', 'its network file system is stale: mount it again'],
  ENOTCONN: ['unavailable', 'its file system has lost its server: mount it again'],
  EIO: ['unavailable', 'its file system cannot be read: check the disk or the server'],
}

/** Names the path, the reason and the remedy. */
function explain<Result>(path: string, look: () => Result): Result {
  try {
    return look()
  } catch (cause) {
    if (cause instanceof CriError) throw cause
    const [kind, reason] = reasons[errnoOf(cause) ?? ''] ?? (['internal', 'it cannot be looked at'] as const)
    throw new CriError(kind, `mount source ${path}: ${reason}`, { cause })
  }
}
