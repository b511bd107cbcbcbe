import { DiskUsage } from '#linux/disk-usage.ts'
import type { LocalImageStore } from './image-store.ts'
import { checkStore, type StoreCheck, type StoreCheckOptions } from './store-check.ts'
import { type PruneRequest, type PruneResult, pruneStore } from './store-prune.ts'
import { type StoreUsage, storeUsage } from './store-usage.ts'

export interface CheckRequest {
  readonly repair: boolean
  /** Whether the content of every file is read; else only what is there is looked at. */
  readonly deep: boolean
}

/** What people do to a store that is in use. */
export interface StoreUpkeep {
  usage(): Promise<StoreUsage>
  check(request: CheckRequest, signal: AbortSignal): Promise<StoreCheck>
  prune(request: PruneRequest): Promise<PruneResult>
}

export interface StoreUpkeepOptions
  extends Omit<StoreCheckOptions, 'refresh' | 'deep' | 'signal' | 'layers'> {
  readonly store: Pick<LocalImageStore, 'list' | 'remove' | 'refresh'>
  readonly layers: StoreCheckOptions['layers'] & Parameters<typeof pruneStore>[0]['layers']
}

export function storeUpkeep(options: StoreUpkeepOptions): StoreUpkeep {
  const { store, trash, containersTrash } = options
  return {
    async usage() {
      await using disk = new DiskUsage({ timeoutMs: 600_000 })
      return await storeUsage({ ...options, disk })
    },
    check: ({ repair, deep }, signal) =>
      checkStore({ ...options, refresh: () => store.refresh(), deep, signal }, repair),
    prune: (request) => pruneStore({ ...options, trashes: [...new Set([trash, containersTrash])] }, request),
  }
}
