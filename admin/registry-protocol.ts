import { z } from 'zod'

/** GET /v1/registry/explain?reference=R&namespace=N → image/registries-explain.ts's Explanation */
export const EXPLAIN_PATH = '/v1/registry/explain'

const endpoint = z.object({
  url: z.string(),
  isMirror: z.boolean(),
  source: z.string(),
  capabilities: z.array(z.enum(['resolve', 'pull'])),
  tls: z.object({
    verify: z.boolean(),
    plainHttp: z.enum(['always', 'fallback', 'never']),
    authorities: z.array(z.string()),
    clientCertificates: z.array(z.string()),
  }),
  proxy: z.string(),
  headers: z.array(z.string()),
  credentials: z.object({ fromRequest: z.boolean(), kept: z.array(z.string()), problem: z.string() }),
  breaker: z
    .object({
      state: z.enum(['open', 'half-open']),
      why: z.string(),
      failures: z.number(),
      sinceMs: z.number(),
      retryMs: z.number(),
    })
    .optional(),
})

export const explanation = z.object({
  reference: z.string(),
  resolvedBy: z.string(),
  images: z.array(z.object({ name: z.string(), endpoints: z.array(endpoint), blocked: z.array(z.string()) })),
})
