import {
  INODE_BYTES,
  type Inode,
  linksIn,
  modeIn,
  setBlockOrDevice,
  setLinks,
  writeInode,
} from './erofs-format.ts'

const FIRST_COUNT = 1024

/**
 * Inodes of a layer in the form they will have on disk, one behind the other outside of the JavaScript heap: a layer may
 * have two million. An inode is its index here; what few have lies beside.
 */
export class ErofsInodes {
  #bytes = Buffer.alloc(FIRST_COUNT * INODE_BYTES)
  #count = 0
  /** Extended attributes by name, in latin1. */
  readonly xattrs = new Map<number, ReadonlyMap<string, Buffer>>()
  /** Where symbolic links lead. */
  readonly targets = new Map<number, string>()

  get count(): number {
    return this.#count
  }

  /** With one link. */
  add(inode: Inode, blockOrDevice = 0): number {
    const index = this.#count
    this.#count += 1
    if (this.#count * INODE_BYTES > this.#bytes.length) {
      this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(this.#bytes.length)])
    }
    const bytes = this.at(index)
    writeInode(bytes, inode)
    setBlockOrDevice(bytes, blockOrDevice)
    setLinks(bytes, 1)
    return index
  }

  /** The bytes of one, until the next `add`. */
  at(index: number): Buffer {
    return this.#bytes.subarray(index * INODE_BYTES, (index + 1) * INODE_BYTES)
  }

  mode(index: number): number {
    return modeIn(this.at(index))
  }

  addLinks(index: number, more: number): void {
    const bytes = this.at(index)
    setLinks(bytes, linksIn(bytes) + more)
  }

  /** All but those that a later entry took the place of. */
  *linked(): Generator<number> {
    for (let index = 0; index < this.#count; index += 1) {
      if (linksIn(this.at(index)) > 0) yield index
    }
  }
}
