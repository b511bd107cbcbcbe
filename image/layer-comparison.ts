import {
  type BigIntStats,
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
} from 'node:fs'
import { canHaveXattr, getXattr, readable, xattrNames } from '#linux/overlay-files.ts'
import { isZeroBetween } from '#linux/sparse-copy.ts'
import { blockOrDeviceIn, type Inode, inodeIn, linksIn } from './erofs-format.ts'
import type { ErofsDirectory, ErofsTree } from './erofs-tree.ts'
import type { LayerEntries } from './layer-entries.ts'
import { childOf } from './layer-path.ts'
import { fsPath } from './layer-tree.ts'
import type { Sparse } from './tar-sparse.ts'

const { S_IFMT, O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
const PROBLEM_LIMIT = 10
/** Of these no layer has any but its own; the host gives files others, as labels. */
const OWN_XATTRS = /^(?:user\.|trusted\.overlay\.|security\.capability$)/
const ACL = /^system\.posix_acl_/
/** Others are cut off by file systems that keep less. */
const LAST_SECOND = 2 ** 31

const typeNames: { readonly [type: number]: string | undefined } = {
  [constants.S_IFREG]: 'file',
  [constants.S_IFDIR]: 'directory',
  [constants.S_IFLNK]: 'symbolic link',
  [constants.S_IFCHR]: 'character device',
  [constants.S_IFBLK]: 'block device',
  [constants.S_IFIFO]: 'fifo',
}

/**
 * Where a layer's directory is not what its tar makes, but for what it has of the files' contents: which names there are, and their
 * types, owners, modes, times, extended attributes, link targets, device numbers, holes, and which are hard links of each other.
 * A sentence each, the first ten. What the file system itself cannot keep is let pass. Throws what reading it throws.
 */
export function compareLayer(
  directory: string,
  made: Pick<LayerEntries, 'tree' | 'sparse'>,
): readonly string[] {
  const comparison = new LayerComparison(Buffer.from(directory).toString('latin1'), made)
  const problems: string[] = []
  for (const problem of comparison.problems()) {
    problems.push(problem)
    if (problems.length === PROBLEM_LIMIT) break
  }
  return problems
}

class LayerComparison {
  readonly #base: string
  readonly #tree: ErofsTree
  readonly #sparse: ReadonlyMap<number, Sparse>
  /** Of names that are hard links: what is there under the first of them. */
  readonly #linked = new Map<number, { readonly path: string; readonly ino: bigint }>()

  constructor(base: string, { tree, sparse }: Pick<LayerEntries, 'tree' | 'sparse'>) {
    this.#base = base
    this.#sparse = sparse
    this.#tree = tree
  }

  *problems(): Generator<string> {
    const pending: { readonly path: string; readonly directory: ErofsDirectory }[] = []
    const { root } = this.#tree
    yield* this.#attributes('', root.inode, this.#stat(''))
    pending.push({ path: '', directory: root })
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const there = new Set(readdirSync(fsPath(this.#absolute(next.path)), 'latin1'))
      for (const [name, inode] of next.directory.children) {
        const path = childOf(next.path, name)
        if (!there.delete(name)) {
          yield told(path, 'is gone')
          continue
        }
        const stat = this.#stat(path)
        yield* this.#node(path, inode, stat)
        const directory = this.#tree.directoryOf(inode)
        if (directory !== undefined && stat.isDirectory()) pending.push({ path, directory })
      }
      for (const name of there) yield told(childOf(next.path, name), 'is not of its tar')
    }
  }

  *#node(path: string, inode: number, stat: BigIntStats): Generator<string> {
    const bytes = this.#tree.inodes.at(inode)
    const wanted = this.#tree.inodes.mode(inode) & S_IFMT
    const found = Number(stat.mode) & S_IFMT
    if (found !== wanted) {
      yield told(path, `is a ${typeNames[found] ?? 'socket'}, it should be a ${typeNames[wanted]}`)
      return
    }
    yield* this.#place(path, inode, stat)
    const sparse = this.#sparse.get(inode)
    if (sparse !== undefined && !this.#hasHoles(path, sparse))
      yield told(path, 'has data where its holes were')
    if (this.#tree.directoryOf(inode) === undefined && linksIn(bytes) > 1) {
      const first = this.#linked.get(inode)
      if (first === undefined) this.#linked.set(inode, { path, ino: stat.ino })
      else if (first.ino !== stat.ino) yield told(path, `is no hard link of ${readable(first.path)}`)
    }
    if (!this.#tree.isWhiteout(inode)) yield* this.#attributes(path, inode, stat)
  }

  /** Where a link leads, or what a device is. */
  *#place(path: string, inode: number, stat: BigIntStats): Generator<string> {
    const device = blockOrDeviceIn(this.#tree.inodes.at(inode))
    const isDevice = stat.isCharacterDevice() || stat.isBlockDevice()
    if (isDevice && Number(stat.rdev) !== device) {
      yield told(path, `is the device ${stat.rdev}, it should be ${device}`)
    }
    const target = stat.isSymbolicLink() ? readlinkSync(fsPath(this.#absolute(path)), 'latin1') : undefined
    if (target !== this.#tree.inodes.targets.get(inode))
      yield told(path, `leads to ${readable(target ?? '')}`)
  }

  *#attributes(path: string, inode: number, stat: BigIntStats): Generator<string> {
    const wanted = inodeIn(this.#tree.inodes.at(inode))
    const xattrs = new Map(this.#tree.inodes.xattrs.get(inode))
    const directory = this.#tree.directoryOf(inode)
    if (directory?.isOpaque === true) xattrs.set('trusted.overlay.opaque', Buffer.from('y'))
    if (Number(stat.uid) !== wanted.uid || Number(stat.gid) !== wanted.gid) {
      yield told(path, `has the owner ${stat.uid}:${stat.gid}, it should have ${wanted.uid}:${wanted.gid}`)
    }
    const modes = [Number(stat.mode) & 0o7777, wanted.mode & 0o7777]
    // An access control list changes it.
    const hasAcl = [...xattrs.keys()].some((name) => ACL.test(name))
    if (modes[0] !== modes[1] && !hasAcl) {
      const [found, right] = modes.map((mode) => `0${mode.toString(8)}`)
      yield told(path, `has the mode ${found}, it should have ${right}`)
    }
    if (directory?.isDescribed !== false && !isTime(stat.mtimeNs, wanted)) {
      yield told(path, 'has another time of modification')
    }
    yield* this.#xattrs(path, xattrs)
  }

  *#xattrs(path: string, wanted: ReadonlyMap<string, Buffer>): Generator<string> {
    const absolute = this.#absolute(path)
    for (const [name, value] of wanted) {
      const found = ACL.test(name) ? value : getXattr(absolute, name)
      if (found !== undefined && !found.equals(value))
        yield told(path, `has another extended attribute ${name}`)
      if (found === undefined && canHaveXattr(absolute, name))
        yield told(path, `has no extended attribute ${name}`)
    }
    const others = xattrNames(absolute).filter((name) => OWN_XATTRS.test(name) && !wanted.has(name))
    for (const name of others) {
      yield told(path, `has the extended attribute ${name}, which is not of its tar`)
    }
  }

  #hasHoles(path: string, { pieces, sizeBytes }: Sparse): boolean {
    const fd = openSync(fsPath(this.#absolute(path)), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    try {
      let end = 0
      for (const piece of [...pieces, { offset: sizeBytes, sizeBytes: 0 }]) {
        if (piece.offset > end && !isZeroBetween(fd, end, piece.offset)) return false
        end = piece.offset + piece.sizeBytes
      }
      return true
    } finally {
      closeSync(fd)
    }
  }

  #stat(path: string): BigIntStats {
    return lstatSync(fsPath(this.#absolute(path)), { bigint: true })
  }

  #absolute(path: string): string {
    return path === '' ? this.#base : `${this.#base}/${path}`
  }
}

/** Also where the file system keeps only whole seconds, or some digits. */
function isTime(foundNs: bigint, { seconds, nanoseconds }: Inode): boolean {
  if (Math.abs(seconds) >= LAST_SECOND) return true
  const rest = foundNs - BigInt(seconds) * 1_000_000_000n
  return rest >= 0n && rest <= BigInt(nanoseconds)
}

const told = (path: string, what: string): string =>
  `${path === '' ? 'the root directory' : readable(path)} in the layer ${what}`
