import { z } from 'zod'

/**
 * GET  /v1/store/usage                            → who owns what of the disk
 * POST /v1/store/check  {"repair": …, "deep": …}  → what is wrong
 * POST /v1/store/prune  {"all": …, "dryRun": …}   → what went
 */
export const STORE_USAGE_PATH = '/v1/store/usage'
export const STORE_CHECK_PATH = '/v1/store/check'
export const STORE_PRUNE_PATH = '/v1/store/prune'

export const checkRequest = z.strictObject({ repair: z.boolean(), deep: z.boolean() })
export const pruneRequest = z.strictObject({ all: z.boolean(), dryRun: z.boolean() })

const names = z.array(z.string())
const usage = { usedBytes: z.number(), usedInodes: z.number() }

export const storeUsage = z.object({
  owners: z.array(z.object({ kind: z.string(), names, ...usage })),
  totals: z.array(z.object({ path: z.string(), ...usage })),
  isWhole: z.boolean(),
})
export const storeCheck = z.object({
  problems: z.array(
    z.object({
      subject: z.string(),
      what: z.string(),
      images: names,
      containers: names,
      repaired: z.boolean(),
      checked: z.boolean(),
    }),
  ),
  layers: z.number(),
  images: z.number(),
  unverified: names,
})
export const pruneResult = z.object({
  images: names,
  layers: names,
  trash: z.number(),
  freedBytes: z.number(),
})
