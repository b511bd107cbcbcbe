import { lstatSync, mkdirSync, readdirSync, readlinkSync, rmSync, type Stats, unlinkSync } from 'node:fs'
import { errnoOf, invalidArgument } from '#lib/errors.ts'
import { readable, setXattr } from '#linux/overlay-files.ts'

const LINK_LIMIT = 40
/** Each costs a walk over all directories: an archive that does this often is an attack. */
const REPLACED_DIRECTORY_LIMIT = 256

/**
 * The directories of a layer that is being unpacked. Every path it answers has only real directories of the layer
 * above its last component: links are resolved as if the layer were the root directory, one component at a time.
 * That holds because nobody but one LayerWriter touches the tree. Paths are bytes in latin1, relative to the layer.
 */
export class LayerTree<Attributes> {
  readonly #base: string
  readonly #replaced: (path: string, stat: Stats) => void
  /** Directories that are there; with attributes where an entry gave them. */
  readonly directories = new Map<string, Attributes | undefined>([['', undefined]])
  /** Where a parent as it was named really is. */
  readonly #resolved = new Map<string, string>()
  #replacedDirectories = 0

  /** `replaced` is told of each file, but for whiteouts, that is about to go for another: its path and what it is. */
  constructor(directory: string, replaced: (path: string, stat: Stats) => void = () => {}) {
    this.#base = Buffer.from(directory).toString('latin1')
    this.#replaced = replaced
  }

  /** The host's path in latin1. */
  absolute(path: string): string {
    return path === '' ? this.#base : `${this.#base}/${path}`
  }

  /** The directory of that name; it is made (and those above it) where it is missing. */
  directory(components: readonly string[]): string {
    const name = components.join('/')
    const known = this.directories.has(name) ? name : this.#resolved.get(name)
    if (known !== undefined) return known
    const real = this.#walk(components)
    this.#resolved.set(name, real)
    return real
  }

  lstat(path: string): Stats | undefined {
    return lstatSync(fsPath(this.absolute(path)), { throwIfNoEntry: false })
  }

  makeDirectory(path: string): void {
    mkdirSync(fsPath(this.absolute(path)), 0o700)
    this.directories.set(path, undefined)
  }

  /** The layers below show nothing in this directory. */
  makeOpaque(path: string): void {
    setXattr(this.absolute(path), 'trusted.overlay.opaque', Buffer.from('y'))
  }

  /** Runs what makes a new file; when something of that name is there, takes it away first: later entries win. */
  replacing(path: string, make: () => void): void {
    try {
      make()
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
      this.#remove(path)
      make()
    }
  }

  #walk(components: readonly string[]): string {
    const pending = [...components].reverse()
    let real = ''
    let links = 0
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      const path = stepFrom(real, name)
      const target = this.directories.has(path) ? undefined : this.#enter(path)
      if (target === undefined) {
        real = path
        continue
      }
      links += 1
      if (links > LINK_LIMIT) throw invalidArgument(`too many links in ${readable(components.join('/'))}`)
      if (target.startsWith('/')) real = ''
      pending.push(...target.split('/').filter(isStep).reverse())
    }
    return real
  }

  /** Makes sure of a directory at `path`; answers where a link leads that is there instead. */
  #enter(path: string): string | undefined {
    const stat = this.lstat(path)
    if (stat?.isSymbolicLink()) return readlinkSync(fsPath(this.absolute(path)), 'latin1')
    if (stat === undefined) this.makeDirectory(path)
    else if (isWhiteout(stat)) {
      unlinkSync(fsPath(this.absolute(path)))
      this.makeDirectory(path)
      this.makeOpaque(path)
    } else if (!stat.isDirectory()) {
      throw invalidArgument(`${readable(path)} is a file of the layer, and a directory of it too`)
    }
    return undefined
  }

  #remove(path: string): void {
    this.#resolved.clear()
    this.#tellOf(path)
    if (!this.directories.has(path)) {
      unlinkSync(fsPath(this.absolute(path)))
      return
    }
    this.#replacedDirectories += 1
    if (this.#replacedDirectories > REPLACED_DIRECTORY_LIMIT) {
      throw invalidArgument(`the layer replaces more than ${REPLACED_DIRECTORY_LIMIT} of its own directories`)
    }
    rmSync(fsPath(this.absolute(path)), { recursive: true })
    for (const known of this.directories.keys()) {
      if (known === path || known.startsWith(`${path}/`)) this.directories.delete(known)
    }
  }

  #tellOf(path: string): void {
    const stat = this.lstat(path)
    if (stat?.isDirectory()) {
      for (const name of readdirSync(fsPath(this.absolute(path)), 'latin1')) this.#tellOf(`${path}/${name}`)
    } else if (stat !== undefined && !isWhiteout(stat)) this.#replaced(path, stat)
  }
}

/** Overlayfs's mark of a file that is hidden: a character device 0:0. */
export const isWhiteout = (stat: Stats): boolean => stat.isCharacterDevice() && stat.rdev === 0

/** As node:fs takes it: the very bytes. */
export const fsPath = (path: string): string | Buffer =>
  isAscii.test(path) ? path : Buffer.from(path, 'latin1')

/** `real` has no links, so that its parent is what stands before the last slash; the root's parent is the root. */
function stepFrom(real: string, name: string): string {
  if (name === '..') return real.slice(0, Math.max(0, real.lastIndexOf('/')))
  return real === '' ? name : `${real}/${name}`
}

const isAscii = /^[\x20-\x7e]*$/
const isStep = (component: string): boolean => component !== '' && component !== '.'
