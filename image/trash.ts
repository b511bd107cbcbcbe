import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, renameSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { CriError, describeError, errnoOf } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import { untilAborted } from '#lib/until-aborted.ts'
import type { UntarPool } from './untar-pool.ts'

/** Others put temporary files beside them. */
const GRAVE = /^[0-9a-f]{16}$/

/**
 * Kubelet removes images and containers where a disk runs low (by default where 15 % of it is free, until 20 % are), reads
 * the free space right after, and evicts a pod where there is too little.
 */
const LOW_SHARE = 0.2
const FREED_WITHIN_MS = 10_000

/** Trees that are to go: out of sight at once, deleted in the background, and at the next start what was left. */
export class Trash {
  readonly #directory: string
  readonly #pool: Pick<UntarPool, 'remove'>
  readonly #log: Log
  readonly #isLow: (path: string) => boolean
  readonly #running = new Set<Promise<void>>()

  /** `directory` lies on the file system of all that is put into it. */
  constructor(directory: string, pool: Pick<UntarPool, 'remove'>, log: Log, isLow = runsLow) {
    this.#directory = directory
    this.#pool = pool
    this.#log = log
    this.#isLow = isLow
    mkdirSync(directory, { recursive: true, mode: 0o700 })
  }

  /** A path that is not there is fine. */
  discard(path: string): void {
    const grave = join(this.#directory, randomBytes(8).toString('hex'))
    try {
      renameSync(path, grave)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return
      throw error
    }
    this.#delete(grave)
  }

  /** Deletes what an earlier run left. */
  empty(): void {
    for (const name of readdirSync(this.#directory)) this.#delete(join(this.#directory, name))
  }

  /** Trees that are still to be deleted. */
  graves(): readonly string[] {
    return readdirSync(this.#directory)
      .filter((name) => GRAVE.test(name))
      .map((name) => join(this.#directory, name))
  }

  /** Deletes what could not be deleted before; it may go on already. */
  retry(): void {
    for (const grave of this.graves()) this.#delete(grave)
  }

  /** Resolves when all that was discarded is deleted. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  /**
   * Resolves at once where the disk has room; where it runs low, when what was discarded until now is deleted, or
   * could not be, or takes longer than `limitMs`.
   */
  async freed(limitMs = FREED_WITHIN_MS): Promise<void> {
    if (!this.#isLow(this.#directory)) return
    await untilAborted(Promise.all(this.#running), AbortSignal.timeout(limitMs)).catch(() => {})
  }

  #delete(grave: string): void {
    const deletion: Promise<void> = this.#remove(grave)
      .catch((error: unknown) => {
        const fields = { path: grave, error: describeError(error) }
        const level = isClosing(error) ? 'debug' : 'warn'
        this.#log[level](fields, 'a tree was not deleted: the next start tries again')
      })
      .finally(() => this.#running.delete(deletion))
    this.#running.add(deletion)
  }

  /** Tries twice: another job may have ended the thread. */
  async #remove(grave: string): Promise<void> {
    try {
      await this.#pool.remove(grave)
    } catch (error) {
      if (isClosing(error)) throw error
      await this.#pool.remove(grave)
    }
  }
}

function runsLow(path: string): boolean {
  const { bavail, blocks, files, ffree } = statfsSync(path)
  return bavail < blocks * LOW_SHARE || ffree < files * LOW_SHARE
}

const isClosing = (error: unknown): boolean => error instanceof CriError && error.kind === 'cancelled'
