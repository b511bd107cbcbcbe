/**
 * The part of EROFS's on-disk format that a layer needs (docs.kernel.org, filesystems/erofs): all data uncompressed and
 * in one piece, all inodes in their long form. Little-endian; addresses count blocks, an inode's number counts slots.
 */
export const EROFS_BLOCK_BYTES = 512
export const SUPERBLOCK_AT = 1024
export const SLOT_BYTES = 32
export const INODE_BYTES = 64
export const NAME_LIMIT_BYTES = 255

const BLOCK_BITS = 9
const MAGIC = 0xe0f5_e1e2
/** The times of inodes are those of modification. */
const FEATURE_MTIME = 0x2
const EXTENDED = 1
const DIRENT_BYTES = 12

/** Where an inode's data lies: in blocks of its own, or right behind the inode and in the same block. */
export type DataPlace = 'blocks' | 'inline'
const formatOf = { blocks: EXTENDED, inline: EXTENDED | (2 << 1) } as const

export interface Superblock {
  readonly rootNumber: number
  readonly inodes: number
  /** Of the whole file. */
  readonly blocks: number
  /** Where slot 0 is. */
  readonly metaBlock: number
  /** 16 bytes: overlayfs tells lower file systems apart by it. */
  readonly uuid: Buffer
}

export function superblockOf({ rootNumber, inodes, blocks, metaBlock, uuid }: Superblock): Buffer {
  const block = Buffer.alloc(128)
  block.writeUInt32LE(MAGIC, 0)
  block.writeUInt32LE(FEATURE_MTIME, 8)
  block.writeUInt8(BLOCK_BITS, 12)
  block.writeUInt16LE(rootNumber, 14)
  block.writeBigUInt64LE(BigInt(inodes), 16)
  block.writeUInt32LE(blocks, 36)
  block.writeUInt32LE(metaBlock, 40)
  uuid.copy(block, 48, 0, 16)
  return block
}

export interface Inode {
  /** With the file's type. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly seconds: number
  readonly nanoseconds: number
  readonly sizeBytes: number
}

/** Writes an inode without what the layout decides. */
export function writeInode(at: Buffer, { mode, uid, gid, seconds, nanoseconds, sizeBytes }: Inode): void {
  at.writeUInt16LE(mode, 4)
  at.writeBigUInt64LE(BigInt(sizeBytes), 8)
  at.writeUInt32LE(uid, 24)
  at.writeUInt32LE(gid, 28)
  at.writeBigInt64LE(BigInt(seconds), 32)
  at.writeUInt32LE(nanoseconds, 40)
}

/** What `writeInode` wrote. */
export const inodeIn = (at: Buffer): Inode => ({
  mode: modeIn(at),
  uid: at.readUInt32LE(24),
  gid: at.readUInt32LE(28),
  seconds: Number(at.readBigInt64LE(32)),
  nanoseconds: at.readUInt32LE(40),
  sizeBytes: Number(at.readBigUInt64LE(8)),
})

/** The first block of its data, or a device's number. */
export const blockOrDeviceIn = (inode: Buffer): number => inode.readUInt32LE(16)
export const modeIn = (inode: Buffer): number => inode.readUInt16LE(4)
export const linksIn = (inode: Buffer): number => inode.readUInt32LE(44)
export const setLinks = (inode: Buffer, links: number): void => void inode.writeUInt32LE(links, 44)
export const setSize = (inode: Buffer, sizeBytes: number): void =>
  void inode.writeBigUInt64LE(BigInt(sizeBytes), 8)
/** The first block of its data, or a device's number. */
export const setBlockOrDevice = (inode: Buffer, value: number): void => void inode.writeUInt32LE(value, 16)
/** `serial`: what stat(2) shows in 32 bits. */
export function setLayout(inode: Buffer, place: DataPlace, xattrBytes: number, serial: number): void {
  inode.writeUInt16LE(formatOf[place], 0)
  inode.writeUInt16LE(xattrBytes === 0 ? 0 : (xattrBytes - XATTR_HEADER_BYTES) / 4 + 1, 2)
  inode.writeUInt32LE(serial, 20)
}

/** A device's number as the kernel keeps it on disks. */
export const deviceNumber = (major: number, minor: number): number =>
  ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0

const XATTR_HEADER_BYTES = 12
/** What xattrs of one inode may take together: its count of words has 16 bits. */
export const XATTR_LIMIT_BYTES = 4 * 0xfffe

/** The longest first, where one begins with another. */
const xattrPrefixes: readonly (readonly [prefix: string, index: number])[] = [
  ['system.posix_acl_access', 2],
  ['system.posix_acl_default', 3],
  ['trusted.', 4],
  ['security.', 6],
  ['user.', 1],
]

/** The body of xattrs that follows an inode; empty when there are none. Names of other kinds are left out. */
export function xattrsOf(xattrs: ReadonlyMap<string, Buffer>): Buffer {
  const entries = [...xattrs].flatMap(([name, value]) => xattrEntry(name, value) ?? [])
  return entries.length === 0
    ? Buffer.alloc(0)
    : Buffer.concat([Buffer.alloc(XATTR_HEADER_BYTES), ...entries])
}

function xattrEntry(name: string, value: Buffer): Buffer | undefined {
  const [prefix, index] = xattrPrefixes.find(([each]) => name.startsWith(each)) ?? []
  if (prefix === undefined || index === undefined) return undefined
  const suffix = name.slice(prefix.length)
  const entry = Buffer.alloc(Math.ceil((4 + suffix.length + value.length) / 4) * 4)
  entry.writeUInt8(suffix.length, 0)
  entry.writeUInt8(index, 1)
  entry.writeUInt16LE(value.length, 2)
  entry.write(suffix, 4, 'latin1')
  value.copy(entry, 4 + suffix.length)
  return entry
}

export interface DirectoryEntry {
  /** In latin1. */
  readonly name: string
  readonly inodeNumber: number
  /** Of the inode it names. */
  readonly mode: number
}

/** How many bytes a directory takes whose names come in this order. */
export function directoryBytes(names: Iterable<string>): number {
  let full = 0
  let used = 0
  for (const { length } of names) {
    const taken = DIRENT_BYTES + length
    if (used + taken > EROFS_BLOCK_BYTES) {
      full += EROFS_BLOCK_BYTES
      used = 0
    }
    used += taken
  }
  return full + used
}

/** What `directoryBytes` counts: `entries` sorted by the bytes of their names, "." and ".." among them. */
export function directoryOf(entries: readonly DirectoryEntry[]): Buffer {
  const data = Buffer.alloc(directoryBytes(entries.map(({ name }) => name)))
  let block = 0
  for (let first = 0; first < entries.length; block += EROFS_BLOCK_BYTES) {
    const fitting = entriesInBlock(entries, first)
    let nameAt = fitting * DIRENT_BYTES
    for (let index = 0; index < fitting; index += 1) {
      const entry = entries[first + index]
      if (entry === undefined) break
      const at = block + index * DIRENT_BYTES
      data.writeBigUInt64LE(BigInt(entry.inodeNumber), at)
      data.writeUInt16LE(nameAt, at + 8)
      data.writeUInt8(typeCodes[(entry.mode >> 12) & 0xf] ?? 0, at + 10)
      nameAt += data.write(entry.name, block + nameAt, 'latin1')
    }
    first += fitting
  }
  return data
}

function entriesInBlock(entries: readonly DirectoryEntry[], first: number): number {
  let used = 0
  for (let index = first; ; index += 1) {
    const entry = entries[index]
    if (entry === undefined) return index - first
    used += DIRENT_BYTES + entry.name.length
    if (used > EROFS_BLOCK_BYTES) return index - first
  }
}

/** FT_… of linux/fs_types.h by the type in a mode: fifo, character device, directory, block device, file, link, socket. */
const typeCodes: { readonly [type: number]: number | undefined } = {
  1: 5,
  2: 3,
  4: 2,
  6: 4,
  8: 1,
  10: 7,
  12: 6,
}
