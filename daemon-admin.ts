import { imageRoutes } from '#admin/image-routes.ts'
import { metricsRoutes } from '#admin/metrics-routes.ts'
import { type AdminRoutes, serveAdmin } from '#admin/server.ts'
import type { Config } from '#config/config.ts'
import type { ImageStore } from '#image/image-source.ts'
import { importImages } from '#image/import.ts'
import type { Images } from '#image/open-images.ts'
import type { ImagePuller } from '#image/pull.ts'
import type { Log } from '#lib/log.ts'
import type { Metrics } from '#lib/metrics.ts'

export interface CliServerOptions {
  readonly store: ImageStore
  readonly puller: ImagePuller
  readonly images: Pick<Images, 'temporaryDirectory'>
  readonly metrics: Metrics
  readonly log: Log
}

/** Serves the command line's own calls on the admin socket: every group of them has its routes here. */
export function serveCli(socketPath: string, options: CliServerOptions): Promise<AsyncDisposable> {
  const routes: AdminRoutes = { ...imagesOf(options), ...metricsRoutes(options.metrics) }
  return serveAdmin(socketPath, { routes, log: options.log })
}

/** Serves the metrics by TCP where the configuration says so. */
export async function serveMetrics(
  { metrics: { address } }: Config,
  metrics: Metrics,
  log: Log,
): Promise<AsyncDisposable | undefined> {
  if (address === undefined) return undefined
  const { startMetricsServer } = await import('#admin/metrics-server.ts')
  const server = await startMetricsServer(address, metrics)
  log.info({ url: server.url }, 'serving metrics')
  return server
}

function imagesOf({ store, puller, images: { temporaryDirectory } }: CliServerOptions): AdminRoutes {
  return imageRoutes({
    store,
    puller,
    async importArchive(path, name) {
      const options = { temporaryDirectory, ...(name === undefined ? {} : { name }) }
      const imported = await importImages(store, path, options, new AbortController().signal)
      return imported.map(({ id, tags }) => ({ id, names: tags }))
    },
  })
}
