import { constants } from 'node:fs'
import { invalidArgument } from '#lib/errors.ts'
import { readable } from '#linux/overlay-files.ts'
import { checkOwner, keptXattrs } from './entry-attributes.ts'
import { deviceNumber, type Inode, writeInode, XATTR_LIMIT_BYTES, xattrsOf } from './erofs-format.ts'
import { type ErofsDirectory, ErofsTree, pathOf } from './erofs-tree.ts'
import { type LayerGaps, LINK_COST_BYTES } from './layer-gaps.ts'
import { childOf, componentsOf, layerName, parentOf } from './layer-path.ts'
import type { TarEntry, TarEntryType } from './tar-entry.ts'
import type { TarHandler } from './tar-reader.ts'
import type { Sparse } from './tar-sparse.ts'

const { S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR, S_IFBLK, S_IFIFO } = constants
const typeBits: { readonly [type in Exclude<TarEntryType, 'hard-link'>]: number } = {
  file: S_IFREG,
  directory: S_IFDIR,
  'symbolic-link': S_IFLNK,
  'character-device': S_IFCHR,
  'block-device': S_IFBLK,
  fifo: S_IFIFO,
}

/** In memory. */
const PIECE_COST_BYTES = 64

/** A file with holes, and where in the tar its data begins. */
export interface SparseContent extends Sparse {
  readonly dataAt: number
}

/** Makes in memory what the entries of a layer's tar say, in overlayfs's form. */
export class LayerEntries implements TarHandler {
  readonly tree = new ErofsTree()
  /** Files with holes, by inode; also of those that a later entry took the place of. */
  readonly sparse = new Map<number, SparseContent>()
  readonly #entryLimit: number
  /** Hard links to what only a layer below may have: from where to what. */
  readonly #foreign = new Map<string, string>()
  readonly #blockOf: (dataAt: number) => number
  #entries = 0

  /** `blockOf`: where the data of a file without holes will be. */
  constructor(entryLimit: number, blockOf: (dataAt: number) => number) {
    this.#entryLimit = entryLimit
    this.#blockOf = blockOf
  }

  entry(entry: TarEntry, dataAt: number): void {
    this.#entries += 1
    if (this.#entries > this.#entryLimit) {
      throw invalidArgument(`the layer has more than ${this.#entryLimit} files`)
    }
    checkOwner(entry)
    const name = layerName(entry.name)
    if (name.kind === 'root') this.#root(entry)
    else if (name.kind === 'opaque') this.tree.directory(name.directory).isOpaque = true
    else if (name.kind === 'whiteout') this.#whiteout(this.tree.directory(name.parent), name.base)
    else if (name.kind === 'entry') this.#make(this.tree.directory(name.parent), name.base, entry, dataAt)
  }

  data(): void {}
  end(): void {}

  gaps(): LayerGaps {
    const links = [...this.#foreign].filter(
      ([path]) =>
        this.tree.directoryAt(parentOf(path)) !== undefined && this.tree.directoryAt(path) === undefined,
    )
    return {
      implied: [...this.tree.implied()],
      links: links.map(([path, target]) => ({ path, target })),
    }
  }

  #root(entry: TarEntry): void {
    if (entry.type !== 'directory') throw invalidArgument('the root of the layer is not a directory')
    this.#describe(this.tree.root, entry)
  }

  #whiteout(parent: ErofsDirectory, name: string): void {
    const there = parent.children.get(name)
    const directory = there === undefined ? undefined : this.tree.directoryOf(there)
    // It hides what lies below, not what this layer has itself, in whichever order they come.
    if (directory !== undefined) {
      directory.isOpaque = true
      directory.isFresh = true
    }
    if (there === undefined) this.tree.put(parent, name, this.tree.inodes.add(whiteout))
  }

  #make(parent: ErofsDirectory, name: string, entry: TarEntry, dataAt: number): void {
    const { inodes } = this.tree
    if (entry.type !== 'hard-link' && this.#foreign.size > 0) {
      this.#foreign.delete(childOf(pathOf(parent), name))
    }
    if (entry.type === 'directory') this.#describe(this.tree.makeDirectory(parent, name), entry)
    else if (entry.type === 'hard-link') this.#link(parent, name, entry)
    else {
      const inode = inodes.add(inodeOf(entry, entry.type), this.#blockOrDevice(entry, dataAt))
      if (entry.sparse !== undefined) {
        this.tree.account(entry.sparse.pieces.length * PIECE_COST_BYTES)
        this.sparse.set(inode, { ...entry.sparse, dataAt })
      }
      if (entry.type === 'symbolic-link') {
        this.tree.account(entry.linkName.length)
        inodes.targets.set(inode, checkedTarget(entry))
      }
      this.#setXattrs(inode, entry)
      this.tree.put(parent, name, inode)
    }
  }

  #blockOrDevice({ type, sparse, sizeBytes, major, minor }: TarEntry, dataAt: number): number {
    if (type === 'file') return sizeBytes === 0 || sparse !== undefined ? 0 : this.#blockOf(dataAt)
    return type === 'character-device' || type === 'block-device' ? deviceNumber(major, minor) : 0
  }

  #describe(directory: ErofsDirectory, entry: TarEntry): void {
    const { inode } = directory
    directory.isDescribed = true
    writeInode(this.tree.inodes.at(inode), inodeOf(entry, 'directory'))
    this.#setXattrs(inode, entry)
  }

  #link(parent: ErofsDirectory, name: string, entry: TarEntry): void {
    const components = componentsOf(entry.linkName)
    const path = childOf(pathOf(parent), name)
    const targetParent = this.tree.find(components.slice(0, -1))
    const target = components.at(-1)
    if (targetParent === parent && target === name) return
    const inode = target === undefined ? this.tree.root.inode : targetParent?.children.get(target)
    if (targetParent === undefined || inode === undefined) {
      const targetPath = targetParent === undefined ? '' : childOf(pathOf(targetParent), target ?? '')
      const known = this.#foreign.get(targetPath) ?? components.join('/')
      this.tree.remove(parent, name)
      this.tree.account(path.length + known.length + LINK_COST_BYTES)
      this.#foreign.set(path, known)
      return
    }
    this.#foreign.delete(path)
    this.#checkTarget(inode, targetParent, path, entry)
    this.tree.inodes.addLinks(inode, 1) // First: it may be the only link of what it takes the place of.
    this.tree.put(parent, name, inode)
  }

  #checkTarget(inode: number, targetParent: ErofsDirectory, path: string, entry: TarEntry): void {
    if (this.tree.directoryOf(inode) !== undefined || this.tree.isWhiteout(inode)) {
      throw invalidArgument(
        `${readable(entry.name)} is a hard link to ${readable(entry.linkName)}, which is no file: rebuild the image`,
      )
    }
    // It would go with the directory that the link takes the place of.
    if (`${pathOf(targetParent)}/`.startsWith(`${path}/`)) {
      throw invalidArgument(`${readable(entry.name).slice(0, 200)} in the layer cannot be made`)
    }
  }

  #setXattrs(inode: number, entry: TarEntry): void {
    if (entry.xattrs.size === 0) {
      this.tree.inodes.xattrs.delete(inode)
      return
    }
    const { xattrs: kept, sizeBytes } = keptXattrs(entry)
    for (const [name, { length }] of kept) {
      if (name.length <= 255 && length <= 0xffff) continue
      throw invalidArgument(
        `${readable(entry.name)} has the extended attribute ${readable(name).slice(0, 40)} of ${length} bytes: the limits are 255 for a name and 65535 for its value`,
      )
    }
    if (xattrsOf(kept).length > XATTR_LIMIT_BYTES) {
      throw invalidArgument(
        `${readable(entry.name)} has more than ${XATTR_LIMIT_BYTES} bytes of extended attributes`,
      )
    }
    this.tree.account(sizeBytes)
    this.tree.inodes.xattrs.set(inode, kept)
  }
}

/** What symlink(2) takes. */
function checkedTarget({ name, linkName }: TarEntry): string {
  if (linkName !== '' && linkName.length < 4096 && !linkName.includes('\0')) return linkName
  throw invalidArgument(
    `${readable(name)} is a symbolic link to a name of ${linkName.length} bytes: it must have 1 to 4095, none of them zero`,
  )
}

const whiteout: Inode = { mode: S_IFCHR, uid: 0, gid: 0, seconds: 0, nanoseconds: 0, sizeBytes: 0 }

const inodeOf = (entry: TarEntry, type: keyof typeof typeBits): Inode => ({
  mode: typeBits[type] | (type === 'symbolic-link' ? 0o777 : entry.mode),
  uid: entry.uid,
  gid: entry.gid,
  ...entry.mtime,
  sizeBytes: type === 'symbolic-link' ? entry.linkName.length : contentBytes(entry),
})

/** With the holes of a sparse file. */
const contentBytes = ({ sparse, sizeBytes }: TarEntry): number => sparse?.sizeBytes ?? sizeBytes
