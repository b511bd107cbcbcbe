import { closeSync, constants, lstatSync, opendirSync, openSync } from 'node:fs'
import { errnoOf } from '#lib/errors.ts'

export interface TreeUsage {
  readonly usedBytes: number
  readonly usedInodes: number
  /** False when the time was up, or the tree is deeper than it is followed: there is more. */
  readonly isWhole: boolean
  readonly tookMs: number
}

/** Each level holds two file descriptors. */
const DEPTH_LIMIT = 200

/**
 * What a tree takes of its disk, a file with several names once; nothing when it is not there. It may be changed
 * meanwhile: what goes is not counted, and no link leads out. A directory is read piece by piece: a big one takes
 * no memory. It blocks: call it in a worker.
 */
export function measureTree(path: string, timeoutMs: number, now = () => performance.now()): TreeUsage {
  const start = now()
  const walk = new TreeWalk(start + timeoutMs, now)
  walk.visit(Buffer.from(path), 0)
  const { usedBytes, usedInodes, isWhole } = walk
  return { usedBytes, usedInodes, isWhole, tookMs: now() - start }
}

class TreeWalk {
  usedBytes = 0
  usedInodes = 0
  isWhole = true
  readonly #deadline: number
  readonly #now: () => number
  readonly #linked = new Set<number>()

  constructor(deadline: number, now: () => number) {
    this.#deadline = deadline
    this.#now = now
  }

  visit(file: Buffer, depth: number): void {
    if (depth > DEPTH_LIMIT || this.#now() > this.#deadline) {
      this.isWhole = false
      return
    }
    try {
      if (this.#count(file)) this.#enter(file, depth)
    } catch (error) {
      if (!GONE.includes(errnoOf(error) ?? '')) throw error
    }
  }

  /** Answers whether it is a directory. */
  #count(file: Buffer): boolean {
    const stat = lstatSync(file)
    const isDirectory = stat.isDirectory()
    if (!isDirectory && stat.nlink > 1) {
      if (this.#linked.has(stat.ino)) return false
      this.#linked.add(stat.ino)
    }
    this.usedBytes += stat.blocks * 512
    this.usedInodes += 1
    return isDirectory
  }

  #enter(directory: Buffer, depth: number): void {
    const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
    try {
      const here = `/proc/self/fd/${fd}`
      // Latin 1 holds names of any bytes.
      using entries = opendirSync(here, { encoding: 'latin1', bufferSize: 128 })
      for (let entry = entries.readSync(); entry !== null && this.isWhole; entry = entries.readSync()) {
        this.visit(Buffer.from(`${here}/${entry.name}`, 'latin1'), depth + 1)
      }
    } finally {
      closeSync(fd)
    }
  }
}

/** Removed, or replaced by something else, between two looks. */
const GONE = ['ENOENT', 'ENOTDIR', 'ELOOP']
