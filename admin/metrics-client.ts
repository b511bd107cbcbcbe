import { z } from 'zod'
import type { AdminClient } from './client.ts'
import { METRICS_PATH } from './metrics-routes.ts'

/** The daemon's metrics, in Prometheus' text format. */
export const metricsText = async ({ call }: AdminClient): Promise<string> =>
  z.string().parse(await call('GET', METRICS_PATH))
