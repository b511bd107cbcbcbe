import { lstatSync, readlinkSync, type Stats } from 'node:fs'
import { CriError, errnoOf } from '#lib/errors.ts'
import { getXattr, readable } from '#linux/overlay-files.ts'
import { childOf, parentOf } from './layer-path.ts'
import { fsPath, isWhiteout } from './layer-tree.ts'
import type { PatchBudget } from './patch-budget.ts'
import { PathCache } from './path-cache.ts'

/** What several layers show at a path, as overlayfs would mount them. Paths are in latin1. */
export type Seen =
  /** `places`: the directories that are merged there, top first. */
  | { readonly kind: 'directory'; readonly places: readonly [string, ...string[]] }
  | { readonly kind: 'file'; readonly place: string; readonly stat: Stats }

const LINK_LIMIT = 40
/** As many as the kernel's longest path has. */
const STEP_LIMIT = 2048
const PATH_LIMIT_BYTES = 4096

/** The layers of an image without a mount, for one thread: nothing may change meanwhile. */
export class LayersView {
  /** Top first. */
  readonly #layers: readonly string[]
  readonly #budget: PatchBudget
  readonly #known = new PathCache<Seen | undefined>()
  /** Where directories really are, as they were named. */
  readonly #resolved = new PathCache<string>()

  /** Every look at the layers is paid from the budget. */
  constructor(layers: readonly string[], budget: PatchBudget) {
    this.#layers = layers
    this.#budget = budget
  }

  /** What is at that very path; no link is followed. */
  at(path: string): Seen | undefined {
    if (this.#known.has(path)) return this.#known.get(path)
    const seen = path === '' ? merged(this.#layers) : this.#child(path)
    this.#known.set(path, seen, bytesOf(seen))
    return seen
  }

  /**
   * Where a path leads when links are followed inside of the view, in its parents or in all of it (`last`). What
   * is missing is taken for a name. Throws failed-precondition for a circle, and for what the kernel would call too long.
   */
  resolve(path: string, last: boolean): string {
    if (last) return this.#walk(path)
    const [name, ...above] = stepsOf(path).reverse()
    const parent = above.reverse().join('/')
    const known = this.#resolved.get(parent)
    const real = known ?? this.#walk(parent)
    if (known === undefined) this.#resolved.set(parent, real, real.length)
    if (name === undefined) return real
    return name === '..' ? parentOf(real) : childOf(real, name)
  }

  #walk(path: string): string {
    const pending = stepsOf(path).reverse()
    let real = ''
    let links = 0
    let steps = 0
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      const next = name === '..' ? parentOf(real) : childOf(real, name)
      this.#budget.spend(next)
      steps += 1
      if (steps > STEP_LIMIT || next.length > PATH_LIMIT_BYTES) throw this.#tooFar('steps', path)
      const target = this.#targetOf(next)
      if (target === undefined) {
        real = next
        continue
      }
      links += 1
      if (links > LINK_LIMIT) throw this.#tooFar('links', path)
      if (target.startsWith('/')) real = ''
      pending.push(...stepsOf(target).reverse())
    }
    return real
  }

  /** Where the link leads that is there. */
  #targetOf(path: string): string | undefined {
    const seen = this.at(path)
    if (seen?.kind !== 'file' || !seen.stat.isSymbolicLink()) return undefined
    return readlinkSync(fsPath(seen.place), 'latin1')
  }

  #tooFar(what: string, path: string): CriError {
    const name = readable(path).slice(0, 200)
    return new CriError(
      'failed-precondition',
      `${this.#budget.layer}: too many ${what} in ${name} of the image: rebuild it`,
    )
  }

  #child(path: string): Seen | undefined {
    const parent = this.at(parentOf(path))
    if (parent?.kind !== 'directory') return undefined
    const name = path.slice(path.lastIndexOf('/') + 1)
    const candidates: string[] = []
    for (const place of parent.places) {
      const candidate = `${place}/${name}`
      this.#budget.spend(candidate)
      const stat = statOf(candidate)
      if (stat === undefined) continue
      if (stat.isDirectory()) candidates.push(candidate)
      else if (candidates.length === 0 && !isWhiteout(stat)) return { kind: 'file', place: candidate, stat }
      else break
    }
    return merged(candidates)
  }
}

/** Down to the first that hides those below. */
function merged(directories: readonly string[]): Seen | undefined {
  const opaque = directories.findIndex(isOpaque)
  const [top, ...below] = opaque < 0 ? directories : directories.slice(0, opaque + 1)
  return top === undefined ? undefined : { kind: 'directory', places: [top, ...below] }
}

export const isOpaque = (directory: string): boolean =>
  getXattr(directory, 'trusted.overlay.opaque') !== undefined

const bytesOf = (seen: Seen | undefined): number =>
  seen?.kind === 'directory' ? seen.places.reduce((sum, { length }) => sum + length, 0) : 0

/** A name that is too long is one that nothing has. */
function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(fsPath(path), { throwIfNoEntry: false })
  } catch (error) {
    if (errnoOf(error) === 'ENAMETOOLONG') return undefined
    throw error
  }
}

const stepsOf = (path: string): string[] => path.split('/').filter((step) => step !== '' && step !== '.')
