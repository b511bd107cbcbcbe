import { imageRoutes } from '#admin/image-routes.ts'
import { type AdminRoutes, serveAdmin } from '#admin/server.ts'
import type { ImageStore } from '#image/image-source.ts'
import { importImages } from '#image/import.ts'
import type { Images } from '#image/open-images.ts'
import type { ImagePuller } from '#image/pull.ts'
import type { Log } from '#lib/log.ts'

export interface CliServerOptions {
  readonly store: ImageStore
  readonly puller: ImagePuller
  readonly images: Pick<Images, 'temporaryDirectory'>
  readonly log: Log
}

/** Serves the command line's own calls on the admin socket: every group of them has its routes here. */
export function serveCli(socketPath: string, options: CliServerOptions): Promise<AsyncDisposable> {
  const routes: AdminRoutes = { ...imagesOf(options) }
  return serveAdmin(socketPath, { routes, log: options.log })
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
