import { constants } from 'node:fs'
import { invalidArgument } from '#lib/errors.ts'
import { readable } from '#linux/overlay-files.ts'
import { blockOrDeviceIn, type Inode, NAME_LIMIT_BYTES } from './erofs-format.ts'
import { ErofsInodes } from './erofs-inodes.ts'
import { childOf } from './layer-path.ts'

const { S_IFMT, S_IFDIR, S_IFLNK, S_IFCHR } = constants
const LINK_LIMIT = 40
/** Names and attributes that are kept in memory until the end, and what each name costs besides: hostile ones would fill it. */
const KEPT_LIMIT_BYTES = 192 << 20
const NAME_COST_BYTES = 72
const DIRECTORY_COST_BYTES = 300
/** PATH_MAX: nothing could be called by a longer one. */
const PATH_LIMIT_BYTES = 4096
/** They go to the daemon, and into its database. */
const IMPLIED_LIMIT_BYTES = 32 << 20
const PATH_COST_BYTES = 16

export interface ErofsDirectory {
  readonly inode: number
  /** Undefined of the root. */
  readonly parent: ErofsDirectory | undefined
  readonly name: string
  readonly pathBytes: number
  /** Inodes by name; names are bytes in latin1. */
  readonly children: Map<string, number>
  /** The layers below show nothing in it. */
  isOpaque: boolean
  /** An entry says its attributes. */
  isDescribed: boolean
  /** It takes the place of what lies below. */
  isFresh: boolean
}

/**
 * The files of a layer that is becoming an EROFS blob, by the same rules as a layer that is unpacked (layer-tree.ts):
 * links in a parent are resolved as if the layer were the root directory, missing directories are made, later entries win.
 */
export class ErofsTree {
  readonly inodes = new ErofsInodes()
  readonly root: ErofsDirectory
  readonly #directories = new Map<number, ErofsDirectory>()
  /** What a parent as it was named really is. */
  readonly #resolved = new Map<string, ErofsDirectory>()
  #keptBytes = 0

  constructor() {
    this.root = this.#newDirectory(undefined, '')
  }

  /** Undefined for an inode of another type. */
  directoryOf(inode: number): ErofsDirectory | undefined {
    return this.#directories.get(inode)
  }

  /** The directory of that name; it is made (and those above it) where it is missing. */
  directory(components: readonly string[]): ErofsDirectory {
    const name = components.join('/')
    const known = this.#resolved.get(name)
    if (known !== undefined) return known
    const found = this.#walk(components, (parent, step) => this.#enter(parent, step)) ?? this.root
    this.account(name.length + NAME_COST_BYTES)
    this.#resolved.set(name, found)
    return found
  }

  /** The same of a directory that is there; nothing is made. */
  find(components: readonly string[]): ErofsDirectory | undefined {
    return this.#walk(components, (parent, step) => this.#directories.get(parent.children.get(step) ?? -1))
  }

  /** The directory at that very path, if it is one. */
  directoryAt(path: string): ErofsDirectory | undefined {
    let found: ErofsDirectory | undefined = this.root
    for (const step of path.split('/').filter(isStep)) {
      found = this.#directories.get(found?.children.get(step) ?? -1)
    }
    return found
  }

  /** Directories that entries only imply, whose attributes are those that lie below. */
  *implied(): Generator<string> {
    let sizeBytes = 0
    for (const directory of this.#directories.values()) {
      if (directory.isDescribed || directory.isFresh) continue
      sizeBytes += directory.pathBytes + PATH_COST_BYTES
      if (sizeBytes > IMPLIED_LIMIT_BYTES) {
        throw invalidArgument(
          `the layer implies directories whose paths take more than ${IMPLIED_LIMIT_BYTES >> 20} MiB`,
        )
      }
      yield pathOf(directory)
    }
  }

  account(sizeBytes: number): void {
    this.#keptBytes += sizeBytes
    if (this.#keptBytes > KEPT_LIMIT_BYTES) {
      throw invalidArgument(
        `the names and attributes of the layer's files take more than ${KEPT_LIMIT_BYTES >> 20} MiB`,
      )
    }
  }

  /** Makes a directory of that name, or takes the one that is there. */
  makeDirectory(parent: ErofsDirectory, name: string): ErofsDirectory {
    const there = parent.children.get(name)
    const known = there === undefined ? undefined : this.#directories.get(there)
    if (known !== undefined) return known
    const made = this.#newDirectory(parent, name)
    // What the layers below have of that name is hidden: it stands for a removal, and something new.
    made.isOpaque = there !== undefined && this.isWhiteout(there)
    this.put(parent, name, made.inode)
    return made
  }

  /** Names an inode; what had the name before is gone. */
  put(parent: ErofsDirectory, name: string, inode: number): void {
    if (name.length > NAME_LIMIT_BYTES) {
      throw invalidArgument(
        `the name ${readable(name).slice(0, 40)}… in the layer is longer than ${NAME_LIMIT_BYTES} bytes`,
      )
    }
    this.remove(parent, name)
    this.account(name.length + NAME_COST_BYTES)
    parent.children.set(name, inode)
  }

  /** What is not there is fine. */
  remove(parent: ErofsDirectory, name: string): void {
    const there = parent.children.get(name)
    if (there !== undefined) this.#unlink(there)
    parent.children.delete(name)
  }

  /** Overlayfs's mark of a file that is hidden: a character device 0:0. */
  isWhiteout(inode: number): boolean {
    return (this.inodes.mode(inode) & S_IFMT) === S_IFCHR && blockOrDeviceIn(this.inodes.at(inode)) === 0
  }

  #newDirectory(parent: ErofsDirectory | undefined, name: string): ErofsDirectory {
    const pathBytes = parent === undefined ? 0 : parent.pathBytes + 1 + name.length
    if (pathBytes > PATH_LIMIT_BYTES) {
      throw invalidArgument(
        `the path of the directory ${readable(name).slice(0, 40)} in the layer is longer than ${PATH_LIMIT_BYTES} bytes`,
      )
    }
    this.account(DIRECTORY_COST_BYTES)
    const inode = this.inodes.add(plainDirectory)
    const children = new Map<string, number>()
    const marks = { isOpaque: false, isDescribed: false, isFresh: false }
    const directory: ErofsDirectory = { inode, parent, name, pathBytes, children, ...marks }
    this.#directories.set(inode, directory)
    return directory
  }

  #walk(
    components: readonly string[],
    enter: (parent: ErofsDirectory, name: string) => ErofsDirectory | undefined,
  ): ErofsDirectory | undefined {
    const pending = [...components].reverse()
    let directory = this.root
    const follow = linkCounter(components)
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      const target = this.#targetOf(directory, name)
      if (target === undefined) {
        const next = name === '..' ? this.#above(directory) : enter(directory, name)
        if (next === undefined) return undefined
        directory = next
        continue
      }
      follow()
      if (target.startsWith('/')) directory = this.root
      pending.push(...target.split('/').filter(isStep).reverse())
    }
    return directory
  }

  #above({ parent }: ErofsDirectory): ErofsDirectory {
    return parent ?? this.root
  }

  /** Where the link of that name leads; undefined when it is none. */
  #targetOf(directory: ErofsDirectory, name: string): string | undefined {
    const inode = directory.children.get(name)
    if (inode === undefined || (this.inodes.mode(inode) & S_IFMT) !== S_IFLNK) return undefined
    return this.inodes.targets.get(inode)
  }

  #enter(parent: ErofsDirectory, name: string): ErofsDirectory {
    const there = parent.children.get(name)
    const isDirectory = there === undefined || this.#directories.has(there)
    if (!isDirectory && !this.isWhiteout(there)) {
      const path = childOf(pathOf(parent), name)
      throw invalidArgument(`${readable(path)} is a file of the layer, and a directory of it too`)
    }
    const entered = this.makeDirectory(parent, name)
    if (!isDirectory) entered.isFresh = true
    return entered
  }

  #unlink(inode: number): void {
    this.#resolved.clear()
    const doomed = [inode]
    for (let next = doomed.pop(); next !== undefined; next = doomed.pop()) {
      this.inodes.addLinks(next, -1)
      for (const child of this.#directories.get(next)?.children.values() ?? []) doomed.push(child)
      this.#directories.delete(next)
    }
  }
}

/** One that no entry describes. */
const plainDirectory: Inode = {
  ...{ mode: S_IFDIR | 0o755, uid: 0, gid: 0, seconds: 0, nanoseconds: 0, sizeBytes: 0 },
}

/** From the layer's root, '' for that itself. */
export function pathOf(directory: ErofsDirectory): string {
  const names: string[] = []
  for (let at = directory; at.parent !== undefined; at = at.parent) names.push(at.name)
  return names.reverse().join('/')
}

function linkCounter(components: readonly string[]): () => void {
  let links = 0
  return () => {
    links += 1
    if (links > LINK_LIMIT) throw invalidArgument(`too many links in ${readable(components.join('/'))}`)
  }
}

const isStep = (component: string): boolean => component !== '' && component !== '.'
