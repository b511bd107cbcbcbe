import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  linkSync,
  openSync,
  writeSync,
} from 'node:fs'
import { errnoOf, invalidArgument } from '#lib/errors.ts'
import { EarlyWriteback } from '#linux/early-writeback.ts'
import { makeNode, readable, setTimesOfFile } from '#linux/overlay-files.ts'
import { checkOwner, keptXattrs, setAttributes, setXattrs } from './entry-attributes.ts'
import { type LayerGaps, LINK_COST_BYTES } from './layer-gaps.ts'
import type { LayerHeaders } from './layer-headers.ts'
import { childOf, componentsOf, layerName, parentOf } from './layer-path.ts'
import { fsPath, isWhiteout, LayerTree } from './layer-tree.ts'
import { PieceWriter } from './piece-writer.ts'
import { isWhiteoutEntry, makeSpecial } from './special-file.ts'
import type { TarEntry } from './tar-entry.ts'
import type { TarHandler } from './tar-reader.ts'

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, S_IFCHR } = constants
const DISK_BLOCK_BYTES = 4096

/** What an unpacked layer takes of its file system; bytes in whole blocks. */
export interface LayerUsage {
  readonly usedBytes: number
  readonly usedInodes: number
  /** See StoredLayer. */
  readonly verity?: string | undefined
  /** Where they are known. */
  readonly gaps?: LayerGaps
}

/** Failures that are a name's or a link's fault, not the host's. */
const OF_THE_ENTRY = ['ENAMETOOLONG', 'EINVAL', 'ENOENT', 'ENOTDIR', 'ELOOP', 'EMLINK']

interface OpenFile {
  readonly fd: number
  readonly path: string
  readonly entry: TarEntry
  /** Of a file with holes. */
  readonly pieces: PieceWriter | undefined
}

/**
 * Writes the entries of a layer into a directory in overlayfs's form, with owners, modes, times and extended
 * attributes. Nothing outside the directory is touched, whatever the entries say. Synchronous, for the untar thread.
 * Directories get their attributes last, since what is put into them changes their times.
 */
export class LayerWriter implements TarHandler, Disposable {
  readonly #tree: LayerTree<TarEntry>
  readonly #entryLimit: number
  readonly #headers: LayerHeaders | undefined
  /** Hard links to what the layer does not have: their paths, and the names of the files. */
  readonly #foreign = new Map<string, string>()
  #entries = 0
  #usedBytes = 0
  #usedInodes = 0
  #file: OpenFile | undefined
  readonly #writeback = new EarlyWriteback()

  /** `headers` gets what the directory does not say of the tar. */
  constructor(directory: string, entryLimit: number, headers?: LayerHeaders) {
    this.#tree = new LayerTree(directory, entryLimit, (path, stat) =>
      headers?.replaced(path, stat.isFile() ? this.#tree.absolute(path) : undefined),
    )
    this.#entryLimit = entryLimit
    this.#headers = headers
  }

  entry(entry: TarEntry): void {
    this.#entries += 1
    if (this.#entries > this.#entryLimit) {
      throw invalidArgument(`the layer has more than ${this.#entryLimit} files`)
    }
    checkOwner(entry)
    try {
      this.#write(entry)
    } catch (error) {
      if (!OF_THE_ENTRY.includes(errnoOf(error) ?? '')) throw error
      throw invalidArgument(`${readable(entry.name).slice(0, 200)} in the layer cannot be made`, {
        cause: error,
      })
    }
  }

  #write(entry: TarEntry): void {
    const name = layerName(entry.name)
    if (name.kind === 'root') this.#root(entry)
    else if (name.kind === 'opaque') this.#tree.makeOpaque(this.#tree.directory(name.directory))
    else if (name.kind === 'whiteout') this.#whiteout(this.#pathOf(name.parent, name.base))
    else if (name.kind === 'entry') this.#make(this.#pathOf(name.parent, name.base), entry)
  }

  data(chunk: Buffer): void {
    if (this.#file === undefined) {
      this.#headers?.verbatim(chunk) // The data of what is not kept.
      return
    }
    const { fd, pieces } = this.#file
    if (pieces === undefined) for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at)
    else pieces.write(fd, chunk)
    if (pieces === undefined) this.#writeback.wrote(fd, chunk.length)
  }

  structure(bytes: Buffer): void {
    this.#headers?.verbatim(bytes)
  }

  end(): void {
    const file = this.#file
    if (file === undefined) return
    const { fd, path, entry } = file
    if (entry.sparse !== undefined) ftruncateSync(fd, entry.sparse.sizeBytes)
    // A change of the owner takes set-user-id bits and capabilities away.
    if (entry.uid !== 0 || entry.gid !== 0) fchownSync(fd, entry.uid, entry.gid)
    fchmodSync(fd, entry.mode)
    setXattrs(this.#tree.absolute(path), entry)
    setTimesOfFile(fd, entry.mtime)
    this[Symbol.dispose]()
    this.#count(entry.sizeBytes)
  }

  /** After the last entry. */
  finish(): LayerUsage & { readonly gaps: LayerGaps } {
    for (const [path, entry] of this.#tree.directories) {
      const absolute = this.#tree.absolute(path)
      if (entry === undefined) chmodSync(fsPath(absolute), 0o755)
      else setAttributes(this.#tree.absolute(path), entry)
      this.#count(DISK_BLOCK_BYTES)
    }
    return { usedBytes: this.#usedBytes, usedInodes: this.#usedInodes, gaps: this.#gaps() }
  }

  #gaps(): LayerGaps {
    const { directories, fresh } = this.#tree
    const implied = [...directories].filter(([path, entry]) => entry === undefined && !fresh.has(path))
    const links = [...this.#foreign].filter(
      ([path]) => directories.has(parentOf(path)) && !directories.has(path),
    )
    return {
      implied: implied.map(([path]) => path),
      links: links.map(([path, target]) => ({ path, target })),
    }
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) closeSync(this.#file.fd)
    this.#file = undefined
    this.#writeback.next()
  }

  #pathOf(parent: readonly string[], base: string): string {
    return childOf(this.#tree.directory(parent), base)
  }

  #root(entry: TarEntry): void {
    if (entry.type !== 'directory') throw invalidArgument('the root of the layer is not a directory')
    this.#describe('', entry)
  }

  #whiteout(path: string): void {
    const there = this.#tree.lstat(path)
    // It hides what lies below, not what this layer has itself, in whichever order they come.
    if (there?.isDirectory()) {
      this.#tree.makeOpaque(path)
      this.#tree.fresh.add(path)
    }
    if (there !== undefined) return
    makeNode(this.#tree.absolute(path), S_IFCHR, 0)
    this.#count(0)
  }

  #make(path: string, entry: TarEntry): void {
    if (entry.type !== 'hard-link') this.#foreign.delete(path)
    if (entry.type === 'directory') this.#makeDirectory(path, entry)
    else if (entry.type === 'hard-link') this.#makeLink(path, entry)
    else if (entry.type === 'file') {
      this.#tree.replacing(path, () => {
        const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW
        const fd = openSync(fsPath(this.#tree.absolute(path)), flags, 0o600)
        this.#file = { fd, path, entry, pieces: entry.sparse && new PieceWriter(entry.sparse.pieces) }
      })
      if (entry.sparse === undefined) this.#headers?.file(path, entry.sizeBytes)
      else this.#headers?.sparse(path, entry.sparse.sizeBytes, entry.sparse.pieces)
    } else {
      const absolute = this.#tree.absolute(path)
      this.#tree.replacing(path, () => makeSpecial(absolute, entry))
      if (!isWhiteoutEntry(entry)) this.#headers?.node(path)
      setAttributes(this.#tree.absolute(path), entry)
      this.#count(0)
    }
  }

  #makeDirectory(path: string, entry: TarEntry): void {
    const there = this.#tree.directories.has(path) ? undefined : this.#tree.lstat(path)
    if (!this.#tree.directories.has(path)) {
      this.#tree.replacing(path, () => this.#tree.makeDirectory(path))
      if (there !== undefined && isWhiteout(there)) this.#tree.makeOpaque(path)
    }
    this.#describe(path, entry)
  }

  /** Of what the entry says, only that is kept which a directory gets. */
  #describe(path: string, entry: TarEntry): void {
    const { xattrs, sizeBytes } = keptXattrs(entry)
    this.#tree.account(sizeBytes)
    this.#tree.directories.set(path, { ...entry, name: path, linkName: '', xattrs })
  }

  #makeLink(path: string, entry: TarEntry): void {
    const components = componentsOf(entry.linkName)
    const parent = this.#tree.find(components.slice(0, -1))
    const target = parent === undefined ? undefined : childOf(parent, components.at(-1) ?? '')
    if (target === path) return
    const there = target === undefined ? undefined : this.#tree.lstat(target)
    if (target === undefined || there === undefined) {
      const known = this.#foreign.get(target ?? '') ?? components.join('/')
      if (this.#tree.lstat(path) !== undefined) this.#tree.remove(path)
      this.#tree.account(path.length + known.length + LINK_COST_BYTES)
      this.#foreign.set(path, known)
      return
    }
    this.#foreign.delete(path)
    if (there.isDirectory() || isWhiteout(there)) {
      throw invalidArgument(
        `${readable(entry.name)} is a hard link to ${readable(entry.linkName)}, which is no file: rebuild the image`,
      )
    }
    this.#tree.replacing(path, () =>
      linkSync(fsPath(this.#tree.absolute(target)), fsPath(this.#tree.absolute(path))),
    )
    this.#headers?.node(path)
  }

  #count(sizeBytes: number): void {
    this.#usedInodes += 1
    this.#usedBytes += Math.ceil(sizeBytes / DISK_BLOCK_BYTES) * DISK_BLOCK_BYTES
  }
}
