import type { StoreUpkeep } from '#image/store-upkeep.ts'
import type { AdminRoutes } from './server.ts'
import {
  checkRequest,
  pruneRequest,
  STORE_CHECK_PATH,
  STORE_PRUNE_PATH,
  STORE_USAGE_PATH,
} from './store-protocol.ts'

/** See store-protocol.ts. */
export const storeRoutes = (upkeep: StoreUpkeep): AdminRoutes => ({
  [`GET ${STORE_USAGE_PATH}`]: () => upkeep.usage(),
  [`POST ${STORE_CHECK_PATH}`]: async ({ body, signal }) =>
    upkeep.check(await body(checkRequest, '{"repair": true or false, "deep": true or false}'), signal),
  [`POST ${STORE_PRUNE_PATH}`]: async ({ body }) =>
    upkeep.prune(await body(pruneRequest, '{"all": true or false, "dryRun": true or false}')),
})
