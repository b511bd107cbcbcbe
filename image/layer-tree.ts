import { lstatSync, mkdirSync, readdirSync, readlinkSync, rmSync, type Stats, unlinkSync } from 'node:fs'
import { errnoOf, invalidArgument } from '#lib/errors.ts'
import { readable, setXattr } from '#linux/overlay-files.ts'
import { childOf, parentOf } from './layer-path.ts'

const LINK_LIMIT = 40
const KEPT_LIMIT_BYTES = 64 << 20
/** Of a directory, beside its name. */
const KEPT_BYTES = 200
/** What a name in a directory is: a directory, nothing that leads on, or a link. */
const INSIDE = 'inside'
const NOWHERE = 'nowhere'
type Step = typeof INSIDE | typeof NOWHERE | { readonly link: string }
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
  /** Directories that are made after the same name was taken away: the layers below show nothing in them. */
  readonly fresh = new Set<string>()
  readonly #directoryLimit: number
  #keptBytes = 0
  #replacedDirectories = 0

  /** `replaced` is told of each file, but for whiteouts, that is about to go for another: its path and what it is. */
  constructor(
    directory: string,
    directoryLimit: number,
    replaced: (path: string, stat: Stats) => void = () => {},
  ) {
    this.#base = Buffer.from(directory).toString('latin1')
    this.#directoryLimit = directoryLimit
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
    const real = this.#walk(components, (path) => this.#enter(path)) ?? ''
    this.account(name.length + KEPT_BYTES)
    this.#resolved.set(name, real)
    return real
  }

  /** The same of a directory that is there; nothing is made. */
  find(components: readonly string[]): string | undefined {
    return this.#walk(components, (path) => this.#look(path))
  }

  lstat(path: string): Stats | undefined {
    return lstatSync(fsPath(this.absolute(path)), { throwIfNoEntry: false })
  }

  makeDirectory(path: string): void {
    if (this.directories.size > this.#directoryLimit) {
      throw invalidArgument(`the layer has more than ${this.#directoryLimit} directories`)
    }
    this.account(path.length + KEPT_BYTES)
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
      this.remove(path)
      make()
    }
  }

  /** What is kept in memory until the end: hostile names would fill it. */
  account(sizeBytes: number): void {
    this.#keptBytes += sizeBytes
    if (this.#keptBytes > KEPT_LIMIT_BYTES) {
      throw invalidArgument(
        `the names and attributes of the layer's directories take more than ${KEPT_LIMIT_BYTES >> 20} MiB`,
      )
    }
  }

  #walk(components: readonly string[], enter: (path: string) => Step): string | undefined {
    const pending = [...components].reverse()
    let real = ''
    let links = 0
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      const path = stepFrom(real, name)
      const step = this.directories.has(path) ? INSIDE : enter(path)
      if (step === NOWHERE) return undefined
      if (step === INSIDE) {
        real = path
        continue
      }
      const target = step.link
      links += 1
      if (links > LINK_LIMIT) throw invalidArgument(`too many links in ${readable(components.join('/'))}`)
      if (target.startsWith('/')) real = ''
      pending.push(...target.split('/').filter(isStep).reverse())
    }
    return real
  }

  #look(path: string): Step {
    const stat = this.lstat(path)
    if (stat?.isSymbolicLink()) return { link: readlinkSync(fsPath(this.absolute(path)), 'latin1') }
    return NOWHERE
  }

  /** Makes sure of a directory at `path`; answers where a link leads that is there instead. */
  #enter(path: string): Step {
    const stat = this.lstat(path)
    if (stat?.isSymbolicLink()) return { link: readlinkSync(fsPath(this.absolute(path)), 'latin1') }
    if (stat === undefined) this.makeDirectory(path)
    else if (isWhiteout(stat)) {
      unlinkSync(fsPath(this.absolute(path)))
      this.makeDirectory(path)
      this.makeOpaque(path)
      this.fresh.add(path)
    } else if (!stat.isDirectory()) {
      throw invalidArgument(`${readable(path)} is a file of the layer, and a directory of it too`)
    }
    return INSIDE
  }

  /** What is there goes for something else: later entries win. */
  remove(path: string): void {
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
      if (known !== path && !known.startsWith(`${path}/`)) continue
      this.directories.delete(known)
      this.fresh.delete(known)
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
  if (name === '..') return parentOf(real)
  return childOf(real, name)
}

const isAscii = /^[\x20-\x7e]*$/
const isStep = (component: string): boolean => component !== '' && component !== '.'
