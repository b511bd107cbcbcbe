import { isUtf8 } from 'node:buffer'
import { lstatSync, readdirSync, type Stats } from 'node:fs'
import { CriError } from '#lib/errors.ts'
import { getExtendedAttribute } from '#linux/libc.ts'
import { isWhiteout } from './layer-tree.ts'

export interface WrittenFiles {
  /** Relative names, directories before what is in them; the root itself is `.`. */
  readonly files: readonly string[]
  /** Absolute names of what the layers below have and the container has removed. */
  readonly deleted: readonly string[]
}

/**
 * What an overlay's upper directory means: overlayfs marks a removed file by a device 0:0, and a directory that
 * replaces another by an attribute. `lowers`: top first. Throws failed-precondition for a name that is not UTF-8 text.
 */
export function writtenFiles(upper: string, lowers: readonly string[]): WrittenFiles {
  const files: string[] = []
  const deleted: string[] = []
  const sort = (path: string): void => {
    const stat = lstatSync(`${upper}/${path}`)
    if (isWhiteout(stat)) deleted.push(`/${path}`)
    else if (stat.isDirectory()) visit(path)
    else files.push(path)
  }
  const visit = (name: string): void => {
    files.push(name)
    const own = namesIn(`${upper}/${name}`)
    for (const base of own) sort(name === '.' ? base : `${name}/${base}`)
    if (name !== '.' && isOpaque(`${upper}/${name}`)) deleted.push(...removedFrom(name, own, lowers))
  }
  visit('.')
  return { files, deleted }
}

/** What the layers below have in a directory that the container has replaced. */
function removedFrom(
  directory: string,
  own: readonly string[],
  lowers: readonly string[],
): readonly string[] {
  const removed = visibleNames(directory, lowers).difference(new Set(own))
  return [...removed].map((base) => `/${directory}/${base}`)
}

/** What the layers below show of a directory. */
function visibleNames(directory: string, lowers: readonly string[]): ReadonlySet<string> {
  const seen = new Set<string>()
  const hidden = new Set<string>()
  for (const lower of lowers) {
    const stats = pathStats(lower, directory)
    const isThere = stats.length === directory.split('/').length && stats.at(-1)?.isDirectory() === true
    const names = isThere ? namesIn(`${lower}/${directory}`) : []
    const isHidden = (name: string): boolean => isWhiteout(lstatSync(`${lower}/${directory}/${name}`))
    const [whiteouts, own] = [names.filter(isHidden), names.filter((name) => !isHidden(name))]
    for (const name of own.filter((each) => !hidden.has(each))) seen.add(name)
    for (const name of whiteouts) hidden.add(name)
    if (hidesBelow(lower, directory, stats)) break
  }
  return seen
}

/** Of each component of the path that a layer has. */
function pathStats(lower: string, path: string): readonly Stats[] {
  const stats: Stats[] = []
  let at = lower
  for (const component of path.split('/')) {
    at = `${at}/${component}`
    const stat = lstatSync(at, { throwIfNoEntry: false })
    if (stat === undefined) break
    stats.push(stat)
    if (!stat.isDirectory()) break
  }
  return stats
}

/** Whether the layer replaces a directory on the way, so that those below it do not count. */
function hidesBelow(lower: string, path: string, stats: readonly Stats[]): boolean {
  const components = path.split('/')
  return stats.some((stat, index) => {
    const at = `${lower}/${components.slice(0, index + 1).join('/')}`
    return !stat.isDirectory() || isOpaque(at)
  })
}

const isOpaque = (directory: string): boolean =>
  getExtendedAttribute(directory, 'trusted.overlay.opaque')?.toString() === 'y'

function namesIn(directory: string): readonly string[] {
  const names = readdirSync(directory, { encoding: 'buffer' })
  const bad = names.find((name) => !isUtf8(name))
  if (bad === undefined) return names.map(String)
  throw new CriError(
    'failed-precondition',
    `${directory} has a file ${JSON.stringify(bad.toString('latin1'))} whose name is not UTF-8 text: rename it`,
  )
}
