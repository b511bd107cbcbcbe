import {
  directoryBytes,
  directoryOf,
  EROFS_BLOCK_BYTES,
  INODE_BYTES,
  SLOT_BYTES,
  setBlockOrDevice,
  setLayout,
  setLinks,
  setSize,
  xattrsOf,
} from './erofs-format.ts'
import type { ErofsTree } from './erofs-tree.ts'

/** EROFS's part of a blob: how large it is, and its bytes. */
export interface ErofsLayout {
  readonly rootNumber: number
  readonly inodes: number
  readonly blocks: number
  /** From its first block on; to be read once. */
  pieces(): Iterable<Buffer>
}

/** What stands in the metadata besides inodes: the names of a directory, the target of a symbolic link. */
interface Part {
  readonly sizeBytes: number
  /** Undefined for a link. */
  readonly directoryLinks?: number
  /** Once every inode has its number. */
  readonly data: () => Buffer
}

/** What an inode has that is not in its 64 bytes. */
interface Extra {
  readonly xattrs: Buffer
  readonly part: Part | undefined
  /** The part is right behind the inode. */
  readonly isInline: boolean
  /** The part's first block, where it is not. */
  block: number
}

interface Layout {
  /** By index. */
  readonly numbers: Uint32Array
  readonly extras: ReadonlyMap<number, Extra>
  /** Where the inodes end. */
  readonly endAt: number
}

/** Number 0 is none to many programs. */
const FIRST_AT = INODE_BYTES
const roundUp = (bytes: number, unit: number): number => Math.ceil(bytes / unit) * unit
const blocksOf = (bytes: number): number => Math.ceil(bytes / EROFS_BLOCK_BYTES)

/**
 * Gives every inode a place in the order in which they came, small directories and links with it, larger ones in blocks
 * behind all inodes. `metaBlock` is where all of this begins.
 */
export function layOut(tree: ErofsTree, metaBlock: number): ErofsLayout {
  const layout = placeInodes(tree)
  let blocks = blocksOf(layout.endAt)
  const apart: Part[] = []
  for (const extra of layout.extras.values()) {
    if (extra.part === undefined || extra.isInline) continue
    extra.block = metaBlock + blocks
    blocks += blocksOf(extra.part.sizeBytes)
    apart.push(extra.part)
  }
  return {
    rootNumber: layout.numbers[tree.root.inode] ?? 0,
    inodes: layout.numbers.reduce((sum, number) => sum + Math.sign(number), 0),
    blocks,
    *pieces() {
      yield* inodePieces(tree, layout)
      yield fill(layout.endAt)
      for (const { data, sizeBytes } of apart) yield* [data(), fill(sizeBytes)]
    },
  }
}

function placeInodes(tree: ErofsTree): Layout {
  const numbers = new Uint32Array(tree.inodes.count)
  const extras = new Map<number, Extra>()
  let at = FIRST_AT
  for (const index of tree.inodes.linked()) {
    const extra = extraOf(tree, index, numbers)
    if (extra !== undefined) extras.set(index, extra)
    const taken = INODE_BYTES + extraBytes(extra)
    // What is inline must lie in one block.
    const left = EROFS_BLOCK_BYTES - (at % EROFS_BLOCK_BYTES)
    if (extra?.isInline === true && taken > left) at += left
    numbers[index] = at / SLOT_BYTES
    at = roundUp(at + taken, SLOT_BYTES)
  }
  return { numbers, extras, endAt: at }
}

function extraOf(tree: ErofsTree, index: number, numbers: Uint32Array): Extra | undefined {
  const xattrs = xattrsOf(xattrsWithMark(tree, index))
  const part = partOf(tree, index, numbers)
  if (part === undefined && xattrs.length === 0) return undefined
  const isInline = INODE_BYTES + xattrs.length + (part?.sizeBytes ?? 0) <= EROFS_BLOCK_BYTES
  return { xattrs, part, isInline: isInline && part !== undefined, block: 0 }
}

const extraBytes = (extra: Extra | undefined): number =>
  (extra?.xattrs.length ?? 0) + (extra?.isInline === true ? (extra.part?.sizeBytes ?? 0) : 0)

const noXattrs: ReadonlyMap<string, Buffer> = new Map()

/** Overlayfs's mark of an opaque directory is one. */
function xattrsWithMark(tree: ErofsTree, index: number): ReadonlyMap<string, Buffer> {
  const own = tree.inodes.xattrs.get(index) ?? noXattrs
  if (tree.directoryOf(index)?.isOpaque !== true) return own
  return new Map([...own, ['trusted.overlay.opaque', Buffer.from('y')]])
}

function partOf(tree: ErofsTree, index: number, numbers: Uint32Array): Part | undefined {
  const target = tree.inodes.targets.get(index)
  if (target !== undefined) {
    const data = (): Buffer => Buffer.from(target, 'latin1')
    return { sizeBytes: target.length, data }
  }
  const directory = tree.directoryOf(index)
  if (directory === undefined) return undefined
  const { children, parent } = directory
  const above = parent?.inode ?? index
  const inodeOf = (name: string): number => (name === '.' ? index : (children.get(name) ?? above))
  const names = [...children.keys(), '.', '..'].sort()
  const below = [...children.values()].filter((child) => tree.directoryOf(child) !== undefined)
  return {
    sizeBytes: directoryBytes(names),
    directoryLinks: 2 + below.length,
    data: () =>
      directoryOf(
        names.map((name) => {
          const inode = inodeOf(name)
          return { name, inodeNumber: numbers[inode] ?? 0, mode: tree.inodes.mode(inode) }
        }),
      ),
  }
}

function* inodePieces({ inodes }: ErofsTree, { numbers, extras }: Layout): Generator<Buffer> {
  let written = 0
  for (const index of inodes.linked()) {
    const number = numbers[index] ?? 0
    const extra = extras.get(index)
    const bytes = inodes.at(index)
    setLayout(bytes, extra?.isInline === true ? 'inline' : 'blocks', extra?.xattrs.length ?? 0, number)
    if (extra?.part !== undefined) describePart(bytes, extra, extra.part)
    yield Buffer.alloc(number * SLOT_BYTES - written)
    yield bytes
    if (extra !== undefined) yield extra.xattrs
    if (extra?.isInline === true && extra.part !== undefined) yield extra.part.data()
    written = number * SLOT_BYTES + INODE_BYTES + extraBytes(extra)
  }
}

function describePart(inode: Buffer, { isInline, block }: Extra, { sizeBytes, directoryLinks }: Part): void {
  setSize(inode, sizeBytes)
  if (!isInline) setBlockOrDevice(inode, block)
  if (directoryLinks !== undefined) setLinks(inode, directoryLinks)
}

/** Zeros up to the end of the block. */
const fill = (bytes: number): Buffer => Buffer.alloc(roundUp(bytes, EROFS_BLOCK_BYTES) - bytes)
