import type { Metrics } from '#lib/metrics.ts'
import type { AdminRoutes } from './server.ts'

export const METRICS_PATH = '/v1/metrics'

/** GET /v1/metrics → their text, as a JSON string. */
export const metricsRoutes = (metrics: Pick<Metrics, 'text'>): AdminRoutes => ({
  [`GET ${METRICS_PATH}`]: () => metrics.text(),
})
