import { setTimeout as pause } from 'node:timers/promises'
import { findImage } from '#image/find-image.ts'
import type { ImageExporter } from '#image/image-exporter.ts'
import type { ImageRecord, ImageStore } from '#image/image-source.ts'
import { describePlatform, parsePlatform } from '#image/platform.ts'
import type { ImagePuller } from '#image/pull.ts'
import type { LayerProgress, PullProgress } from '#image/pull-progress.ts'
import { CriError, invalidArgument } from '#lib/errors.ts'
import {
  EXPORT_PATH,
  exportRequest,
  IMAGE_PATH,
  IMAGES_PATH,
  IMPORT_PATH,
  importRequest,
  PULL_PATH,
  pullRequest,
} from './image-protocol.ts'
import type { AdminCall, AdminRoutes } from './server.ts'

export interface ImageRoutesOptions {
  readonly store: Pick<ImageStore, 'find' | 'localNames' | 'list' | 'remove'>
  readonly puller: ImagePuller
  /** Reads an OCI or docker-archive tarball of this host; `name` goes over those in it. */
  importArchive(
    path: string,
    name: string | undefined,
    signal: AbortSignal,
  ): Promise<readonly { readonly id: string; readonly names: readonly string[] }[]>
  readonly exporter: ImageExporter
}

const EXPORT_BODY =
  '{"images": […], "path": "/an/absolute/path", "format": "oci" or "docker", "compression": "gzip" or "none"}'

/** How often a client hears of changes, at most: what it shows needs no more. */
const TELL_EVERY_MS = 100

export function imageRoutes({ store, puller, importArchive, exporter }: ImageRoutesOptions): AdminRoutes {
  return {
    async [`POST ${EXPORT_PATH}`]({ body, signal }) {
      const { images, path, ...options } = await body(exportRequest, EXPORT_BODY)
      const exported = await exporter.export(images, path, options, signal)
      return exported.map(({ id, tags }) => ({ id, names: tags }))
    },
    async [`POST ${IMPORT_PATH}`]({ body, query, signal }) {
      const { path } = await body(importRequest, '{"path": "/an/absolute/path"}')
      return importArchive(path, query.get('name') ?? undefined, signal)
    },
    [`POST ${PULL_PATH}`]: (call) => pullLines(puller, call),
    [`GET ${IMAGES_PATH}`]: () =>
      store.list().map(({ sizeBytes, pinned, ...image }) => ({ ...namesOf(image), sizeBytes, pinned })),
    [`GET ${IMAGE_PATH}`]: ({ query }) => details(present(store, query)),
    async [`DELETE ${IMAGE_PATH}`]({ query }) {
      const image = present(store, query)
      await store.remove(image.id)
      return namesOf(image)
    },
  }
}

function present(store: ImageRoutesOptions['store'], query: URLSearchParams): ImageRecord {
  const reference = query.get('reference')
  if (reference === null) throw invalidArgument('the call needs ?reference=')
  const image = findImage(store, reference)
  if (image === undefined) {
    throw new CriError(
      'not-found',
      `image ${reference} is not here: \`cri-ts images ls\` lists those that are`,
    )
  }
  return image
}

const namesOf = ({ id, tags, digests }: Pick<ImageRecord, 'id' | 'tags' | 'digests'>) => ({
  id,
  tags,
  digests,
})

function details({ diffIds, pulledAtNs, platform, ...image }: ImageRecord): object {
  const pulledAt = new Date(Number(BigInt(pulledAtNs) / 1_000_000n)).toISOString()
  return { ...image, platform: describePlatform(platform), pulledAt, layers: diffIds }
}

/** A line for what has changed, a last one with the id. The caller's hang-up ends its part in the pull. */
async function* pullLines(puller: ImagePuller, { body, signal }: AdminCall) {
  const { reference, auth, platform } = await body(pullRequest, PULL_BODY)
  let progress: PullProgress | undefined
  const credentials = auth && { ...NO_AUTH, ...auth }
  const watch = (begun: PullProgress) => {
    progress = begun
  }
  const ended = new AbortController()
  const pulled = puller
    .pull(reference, credentials, signal, {
      watch,
      platform: platform === undefined ? undefined : parsePlatform(platform),
    })
    .finally(() => ended.abort())
  // It is awaited at the end; meanwhile it may fail.
  pulled.catch(() => {})
  const told: LayerProgress[] = []
  while (!ended.signal.aborted) {
    await pause(TELL_EVERY_MS, undefined, { signal: ended.signal }).catch(() => {})
    const layers = changes(told, progress?.layers ?? [])
    if (Object.keys(layers).length > 0) yield { layers }
  }
  yield { id: await pulled }
}

const PULL_BODY = '{reference, auth?: {username, password}, platform?: "os/architecture"}'

const NO_AUTH = {
  username: '',
  password: '',
  auth: '',
  serverAddress: '',
  identityToken: '',
  registryToken: '',
}

/** Those that are not as they were told last; from now on they are told. */
function changes(told: LayerProgress[], layers: readonly LayerProgress[]): Record<number, LayerProgress> {
  const changed: Record<number, LayerProgress> = {}
  for (const [index, layer] of layers.entries()) {
    if (told[index] === layer) continue
    told[index] = layer
    changed[index] = layer
  }
  return changed
}
