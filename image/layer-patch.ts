import { chmodSync, linkSync, lstatSync, mkdirSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { CriError, errnoOf } from '#lib/errors.ts'
import { getXattr, readable, setXattr, xattrNames } from '#linux/overlay-files.ts'
import { copyAttributes, copyTree, NOT_COPIED } from './copy-tree.ts'
import type { ForeignLink, LayerGaps } from './layer-gaps.ts'
import { childOf, parentOf } from './layer-path.ts'
import { fsPath } from './layer-tree.ts'
import { isOpaque, LayersView } from './layers-view.ts'
import type { PatchBudget } from './patch-budget.ts'

export interface PatchedLayer {
  /** The directories of the layers below it, top first. */
  readonly below: readonly string[]
  /** The layer's directory. All in latin1. */
  readonly layer: string
  readonly gaps: LayerGaps
  /** Where the patch is made, if there is anything to patch. */
  readonly target: string
}

/**
 * Makes the layer that has to lie directly on `layer`, where that one lies on `below`, to show what unpacking it there
 * would have made:
 *
 *   an implied directory   has the attributes of the one below; where a link is below, what the layer has in it is put
 *                          where that leads, and the link is seen again
 *   a foreign hard link    is the file below, the very inode where the file system is the same
 *
 * Answers how many directories the patch has, 0 when there is nothing to patch. Throws failed-precondition when a hard
 * link's file is nowhere.
 */
export function patchLayer(patched: PatchedLayer, budget: PatchBudget): number {
  const patch = new LayerPatch(patched, budget)
  const { implied, links } = patched.gaps
  for (const path of implied.toSorted()) patch.directory(path)
  for (const link of links) patch.link(link)
  return patch.finish()
}

class LayerPatch {
  readonly #budget: PatchBudget
  readonly #below: LayersView
  /** The layer on those below. */
  readonly #view: LayersView
  readonly #layer: string
  readonly #target: string
  readonly #implied: ReadonlySet<string>
  /** Directories of the patch, and whose attributes each gets; undefined: those of a new one. */
  readonly #made = new Map<string, string | undefined>()
  /** Directories in which the layer shows nothing of those below. */
  readonly #hidden = new Map<string, boolean>()
  /** Where an implied directory really is. */
  readonly #moved = new Map<string, string>()

  constructor({ below, layer, gaps, target }: PatchedLayer, budget: PatchBudget) {
    this.#budget = budget
    this.#below = new LayersView(below, budget)
    this.#view = new LayersView([layer, ...below], budget)
    this.#layer = layer
    this.#target = target
    this.#implied = new Set(gaps.implied)
  }

  directory(path: string): void {
    this.#budget.spend(path)
    if (this.#realOf(path) !== path || this.#isHiddenBelow(path)) return
    const seen = this.#below.at(path)
    if (seen?.kind === 'directory') {
      const [place] = seen.places
      if (!haveSameAttributes(place, this.#inLayer(path), path === '')) this.#make(path, place)
    } else if (seen?.kind === 'file' && seen.stat.isSymbolicLink()) this.#move(path, seen.place)
  }

  link({ path, target }: ForeignLink): void {
    const seen = this.#below.at(this.#below.resolve(target, false))
    if (seen?.kind !== 'file') {
      throw new CriError(
        'failed-precondition',
        `${readable(path)} is a hard link to ${readable(target)}, which is no file of its layer nor of those below: rebuild the image`,
      )
    }
    this.#place(seen.place, this.#realOf(path))
  }

  /** Gives the directories their attributes, the deepest first, since each changes the times of its parent. */
  finish(): number {
    for (const [path, source] of [...this.#made].toReversed()) {
      const target = this.#inPatch(path)
      if (source === undefined) chmodSync(fsPath(target), 0o755)
      else copyAttributes(source, target, lstatSync(fsPath(source), { bigint: true }))
    }
    return this.#made.size
  }

  /** Whether the layer itself takes away what lies below a directory of it. */
  #isHiddenBelow(path: string): boolean {
    if (path === '') return false
    const parent = parentOf(path)
    const known = this.#hidden.get(parent) ?? (isOpaque(this.#inLayer(parent)) || this.#isHiddenBelow(parent))
    this.#hidden.set(parent, known)
    return known
  }

  /** What the layer has in a directory goes to where the link leads that lies below in its place. */
  #move(path: string, link: string): void {
    const target = readlinkSync(fsPath(link), 'latin1')
    const real = this.#view.resolve(target.startsWith('/') ? target : childOf(parentOf(path), target), true)
    const seen = this.#view.at(real)
    if (seen?.kind === 'file' || `${real}/`.startsWith(`${path}/`)) {
      throw new CriError(
        'failed-precondition',
        `${readable(path)} is a directory in a layer, and below it a link to ${readable(target)}, which is none: rebuild the image`,
      )
    }
    this.#place(link, path)
    this.#moved.set(path, real)
    this.#make(real, seen?.places[0])
    this.#merge(path, real)
  }

  /** Puts what the layer has in `from` into `to`. */
  #merge(from: string, to: string): void {
    for (const name of readdirSync(fsPath(this.#inLayer(from)), 'latin1')) {
      const path = childOf(from, name)
      const source = this.#inLayer(path)
      const real = childOf(to, name)
      this.#budget.spend(source)
      if (!lstatSync(fsPath(source)).isDirectory()) this.#place(source, real)
      else if (this.#implied.has(path)) this.#mergeImplied(path, real)
      else {
        this.#make(real, source)
        if (isOpaque(source)) setXattr(this.#inPatch(real), 'trusted.overlay.opaque', Buffer.from('y'))
        this.#merge(path, real)
      }
    }
  }

  #mergeImplied(path: string, to: string): void {
    const real = this.#view.resolve(to, true)
    const there = this.#view.at(real)
    this.#make(real, there?.kind === 'directory' ? there.places[0] : undefined)
    this.#moved.set(path, real)
    this.#merge(path, real)
  }

  /** A path of the layer as it is in the image. */
  #realOf(path: string): string {
    if (this.#moved.size === 0) return path
    for (let parent = path; ; parent = parentOf(parent)) {
      this.#budget.spend(parent)
      const real = this.#moved.get(parent)
      if (real !== undefined) return parent === path ? real : childOf(real, path.slice(parent.length + 1))
      if (parent === '') return path
    }
  }

  /** A directory of the patch, and those above it as the image has them. */
  #make(path: string, attributes: string | undefined): void {
    if (path !== '' && !this.#made.has(parentOf(path))) this.#makeParent(parentOf(path))
    if (!this.#made.has(path)) {
      rmSync(fsPath(this.#inPatch(path)), { force: true })
      mkdirSync(fsPath(this.#inPatch(path)), 0o700)
    }
    this.#made.set(path, attributes)
  }

  #makeParent(path: string): void {
    const isImplied = this.#implied.has(path)
    const seen = (isImplied ? this.#below : this.#view).at(path) ?? this.#view.at(path)
    this.#make(path, seen?.kind === 'directory' ? seen.places[0] : undefined)
  }

  /** The very file, or a copy where another file system has it; what comes last wins. */
  #place(source: string, path: string): void {
    if (!this.#made.has(parentOf(path))) this.#makeParent(parentOf(path))
    const target = this.#inPatch(path)
    if (this.#made.has(path)) this.#unmake(path)
    rmSync(fsPath(target), { recursive: true, force: true })
    try {
      linkSync(fsPath(source), fsPath(target))
    } catch (error) {
      if (!['EXDEV', 'EMLINK', 'EPERM'].includes(errnoOf(error) ?? '')) throw error
      copyTree(source, target)
    }
  }

  #unmake(path: string): void {
    for (const made of this.#made.keys()) {
      this.#budget.spend(made)
      if (made === path || made.startsWith(`${path}/`)) this.#made.delete(made)
    }
  }

  #inLayer = (path: string): string => (path === '' ? this.#layer : `${this.#layer}/${path}`)
  #inPatch = (path: string): string => (path === '' ? this.#target : `${this.#target}/${path}`)
}

/** But for times where `ignoresTimes`: overlayfs shows those of the writable layer at the root. */
function haveSameAttributes(one: string, other: string, ignoresTimes: boolean): boolean {
  const [a, b] = [one, other].map((path) => lstatSync(fsPath(path), { bigint: true }))
  if (a === undefined || b === undefined) return false
  if (a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid) return false
  return (ignoresTimes || a.mtimeNs === b.mtimeNs) && xattrsOf(one) === xattrsOf(other)
}

const xattrsOf = (path: string): string =>
  xattrNames(path)
    .filter((name) => !NOT_COPIED.test(name))
    .toSorted()
    .map((name) => `${name}=${getXattr(path, name)?.toString('hex')}`)
    .join()
