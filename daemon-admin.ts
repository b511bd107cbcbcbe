import { imageRoutes } from '#admin/image-routes.ts'
import { metricsRoutes } from '#admin/metrics-routes.ts'
import { registryRoutes } from '#admin/registry-routes.ts'
import { type AdminRoutes, serveAdmin } from '#admin/server.ts'
import { storeRoutes } from '#admin/store-routes.ts'
import type { Config } from '#config/config.ts'
import type { ImageStore } from '#image/image-source.ts'
import { importImages } from '#image/import.ts'
import type { Images } from '#image/open-images.ts'
import { hostPlatform, type Platform, parsePlatform } from '#image/platform.ts'
import type { ImagePuller } from '#image/pull.ts'
import type { ExplainOptions } from '#image/registries-explain.ts'
import type { Log } from '#lib/log.ts'
import type { Metrics } from '#lib/metrics.ts'

export interface CliServerOptions {
  readonly config: Config
  readonly store: ImageStore
  readonly puller: ImagePuller
  readonly images: Pick<Images, 'temporaryDirectory' | 'exporter' | 'upkeep'>
  readonly metrics: Metrics
  readonly registry: ExplainOptions
  readonly log: Log
}

/**
 * Serves the command line's own calls on the admin socket, every group of which has its routes here; and the metrics by
 * TCP, where the configuration says so.
 */
export async function serveCli(socketPath: string, options: CliServerOptions): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack()
  const { config, images, metrics, registry, log } = options
  const routes: AdminRoutes = {
    ...{ ...imagesOf(options), ...storeRoutes(images.upkeep) },
    ...{ ...metricsRoutes(metrics), ...registryRoutes(registry) },
  }
  stack.use(await serveAdmin(socketPath, { routes, log }))
  if (config.metrics.address !== undefined) {
    const { startMetricsServer } = await import('#admin/metrics-server.ts')
    const server = stack.use(await startMetricsServer(config.metrics.address, metrics))
    log.info({ url: server.url }, 'serving metrics')
  }
  return stack.move()
}

/** Those that images are pulled and imported for, the best first. */
export const imagePlatforms = ({ image: { platforms } }: Config): readonly Platform[] =>
  platforms.length > 0 ? platforms.map(parsePlatform) : [hostPlatform()]

function imagesOf({ config, store, puller, images }: CliServerOptions): AdminRoutes {
  const { temporaryDirectory, exporter } = images
  return imageRoutes({
    ...{ store, puller, exporter },
    async importArchive(path, name, signal) {
      const platforms = imagePlatforms(config)
      const options = { temporaryDirectory, platforms, ...(name === undefined ? {} : { name }) }
      const imported = await importImages(store, path, options, signal)
      return imported.map(({ id, tags }) => ({ id, names: tags }))
    },
  })
}
