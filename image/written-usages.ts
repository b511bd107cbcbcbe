import { describeError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import type { DiskUsage } from '#linux/disk-usage.ts'
import type { Clock } from '#runtime/ports.ts'
import type { WrittenUsage } from '#runtime/usage-port.ts'

/** What was measured is asked for by others within this time. */
const FRESH_MS = 10_000
/** Measuring a tree takes at most one part of the time in so many. */
const REST_RATIO = 20

interface Entry {
  usage: WrittenUsage | undefined
  /** When it may be measured again. */
  dueMs: number
}

export interface WrittenUsagesOptions {
  /** Of the file system that all of it lies on. */
  readonly path: string
  readonly directoryOf: (containerId: string) => string
  readonly disk: Pick<DiskUsage, 'measure'>
  readonly clock: Clock
  readonly log: Log
  readonly nowMs?: () => number
}

/**
 * What containers wrote, as it was measured last. Asking for it never waits: it has the tree measured again in the
 * background, the more seldom the longer that takes.
 */
export class WrittenUsages {
  readonly #options: WrittenUsagesOptions
  readonly #nowMs: () => number
  readonly #entries = new Map<string, Entry>()

  constructor(options: WrittenUsagesOptions) {
    this.#options = options
    this.#nowMs = options.nowMs ?? (() => performance.now())
  }

  of(containerId: string): WrittenUsage | undefined {
    const entry = this.#entries.get(containerId) ?? { usage: undefined, dueMs: 0 }
    this.#entries.set(containerId, entry)
    if (this.#nowMs() >= entry.dueMs) {
      entry.dueMs = Number.POSITIVE_INFINITY
      void this.#measure(containerId, entry)
    }
    return entry.usage
  }

  /** Of all that were asked for. */
  total(): { readonly usedBytes: number; readonly usedInodes: number } {
    let usedBytes = 0
    let usedInodes = 0
    for (const { usage } of this.#entries.values()) {
      usedBytes += usage?.usedBytes ?? 0
      usedInodes += usage?.usedInodes ?? 0
    }
    return { usedBytes, usedInodes }
  }

  forget(containerId: string): void {
    this.#entries.delete(containerId)
  }

  async #measure(containerId: string, entry: Entry): Promise<void> {
    const { directoryOf, disk, clock, log, path } = this.#options
    let tookMs = 0
    try {
      const found = await disk.measure(directoryOf(containerId))
      tookMs = found.tookMs
      if (found.usedInodes === 0) return this.forget(containerId) // It is not there (any more).
      // Of one that could not be measured whole, what was known of it may be more.
      const known = found.isWhole ? undefined : entry.usage
      entry.usage = {
        atNs: clock.nowNs(),
        path,
        usedBytes: Math.max(found.usedBytes, known?.usedBytes ?? 0),
        usedInodes: Math.max(found.usedInodes, known?.usedInodes ?? 0),
      }
    } catch (error) {
      log.debug({ containerId, err: describeError(error) }, 'what a container wrote could not be measured')
    }
    entry.dueMs = this.#nowMs() + Math.max(FRESH_MS, tookMs * REST_RATIO)
  }
}
