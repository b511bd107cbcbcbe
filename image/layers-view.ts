import { lstatSync, readlinkSync, type Stats } from 'node:fs'
import { CriError } from '#lib/errors.ts'
import { getXattr, readable } from '#linux/overlay-files.ts'
import { childOf, parentOf } from './layer-path.ts'
import { fsPath, isWhiteout } from './layer-tree.ts'

/** What several layers show at a path, as overlayfs would mount them. Paths are in latin1. */
export type Seen =
  /** `places`: the directories that are merged there, top first. */
  | { readonly kind: 'directory'; readonly places: readonly [string, ...string[]] }
  | { readonly kind: 'file'; readonly place: string; readonly stat: Stats }

const LINK_LIMIT = 40

/** The layers of an image without a mount, for one thread: nothing may change meanwhile but by `add`. */
export class LayersView {
  /** Top first. */
  readonly #layers: readonly string[]
  readonly #known = new Map<string, Seen | undefined>()

  constructor(layers: readonly string[]) {
    this.#layers = layers
  }

  /** These layers with another one on top. */
  below(layer: string): LayersView {
    return new LayersView([layer, ...this.#layers])
  }

  /** What is at that very path; no link is followed. */
  at(path: string): Seen | undefined {
    if (this.#known.has(path)) return this.#known.get(path)
    const seen = path === '' ? merged(this.#layers) : this.#child(path)
    this.#known.set(path, seen)
    return seen
  }

  /**
   * Where a path leads when links are followed inside of the view, in its parents or in all of it (`last`). What
   * is missing is taken for a name. Throws failed-precondition for a circle.
   */
  resolve(path: string, last: boolean): string {
    const pending = stepsOf(path).reverse()
    let real = ''
    let links = 0
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      const next = name === '..' ? parentOf(real) : childOf(real, name)
      const seen = this.at(next)
      const isFollowed = last || pending.length > 0
      if (!isFollowed || seen?.kind !== 'file' || !seen.stat.isSymbolicLink()) {
        real = next
        continue
      }
      links += 1
      if (links > LINK_LIMIT) {
        throw new CriError('failed-precondition', `too many links in ${readable(path)} of the image`)
      }
      const target = readlinkSync(fsPath(seen.place), 'latin1')
      if (target.startsWith('/')) real = ''
      pending.push(...stepsOf(target).reverse())
    }
    return real
  }

  #child(path: string): Seen | undefined {
    const parent = this.at(parentOf(path))
    if (parent?.kind !== 'directory') return undefined
    const name = path.slice(path.lastIndexOf('/') + 1)
    const candidates: string[] = []
    for (const place of parent.places) {
      const candidate = `${place}/${name}`
      const stat = lstatSync(fsPath(candidate), { throwIfNoEntry: false })
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

const stepsOf = (path: string): string[] => path.split('/').filter((step) => step !== '' && step !== '.')
