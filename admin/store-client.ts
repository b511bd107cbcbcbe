import type { z } from 'zod'
import type { AdminClient } from './client.ts'
import {
  pruneResult,
  STORE_CHECK_PATH,
  STORE_PRUNE_PATH,
  STORE_USAGE_PATH,
  storeCheck,
  storeUsage,
} from './store-protocol.ts'

export type StoreUsageAnswer = Readonly<z.infer<typeof storeUsage>>
export type StoreCheckAnswer = Readonly<z.infer<typeof storeCheck>>
export type PruneAnswer = Readonly<z.infer<typeof pruneResult>>

/** The running daemon's image store, as its operators look after it. */
export interface StoreClient {
  usage(): Promise<StoreUsageAnswer>
  check(request: { readonly repair: boolean; readonly deep: boolean }): Promise<StoreCheckAnswer>
  prune(request: { readonly all: boolean; readonly dryRun: boolean }): Promise<PruneAnswer>
}

export const storeClient = ({ call }: AdminClient): StoreClient => ({
  usage: async () => storeUsage.parse(await call('GET', STORE_USAGE_PATH)),
  check: async (request) => storeCheck.parse(await call('POST', STORE_CHECK_PATH, request)),
  prune: async (request) => pruneResult.parse(await call('POST', STORE_PRUNE_PATH, request)),
})
