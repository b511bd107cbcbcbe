import { type ExplainOptions, explainPull } from '#image/registries-explain.ts'
import { invalidArgument } from '#lib/errors.ts'
import { EXPLAIN_PATH } from './registry-protocol.ts'
import type { AdminRoutes } from './server.ts'

/** `cri-ts registry`: what the daemon would do, and what it knows of failures. */
export const registryRoutes = (options: ExplainOptions): AdminRoutes => ({
  [`GET ${EXPLAIN_PATH}`]({ query }) {
    const reference = query.get('reference')
    if (reference === null) throw invalidArgument('the call needs ?reference=')
    return explainPull(reference, query.get('namespace') ?? '', options)
  },
})
