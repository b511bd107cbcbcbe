import { resolve } from 'node:path'
import { z } from 'zod'
import { durationMs } from '#lib/duration.ts'
import type { KeyPath } from '#lib/key-lines.ts'
import { parseQuantity } from '#lib/quantity.ts'
import { path, says } from './key-meta.ts'
import { type TrustSettings, trustKeys, trustSettings } from './trust-schema.ts'

/** In Go's words, as image indexes have them. */
const PLATFORM = /^linux\/(?:386|amd64|arm|arm64|loong64|mips64le|ppc64le|riscv64|s390x)(?:\/v[0-9]+)?$/

/** The table [image]. */
export const imageTable = z
  .strictObject({
    registries_dir: path
      .optional()
      .meta(
        says(
          "Where each registry's hosts.toml and certificates lie, in containerd's format; read anew when it changes.",
          'an absolute path',
          '/etc/containers/certs.d, else /etc/containerd/certs.d',
        ),
      ),
    registries_conf: path
      .default('/etc/containers/registries.conf')
      .meta(
        says(
          'Mirrors, blocked registries and short names in the format of containers-registries.conf(5), version 2, with drop-ins in registries.conf.d beside it; read anew when it changes, and it need not be there.',
          'an absolute path',
        ),
      ),
    auth_file: path
      .optional()
      .meta(
        says(
          "Credentials of registries, as containers-auth.json(5) or Docker's config.json, credential helpers included; read anew when it changes. A request's own go before them.",
          'an absolute path',
          '/etc/containers/auth.json, /run/containers/0/auth.json, then .config/containers/auth.json and .docker/config.json of the home directory',
        ),
      ),
    namespaced_auth_dir: path
      .optional()
      .meta(
        says(
          "Where a credential provider puts short-lived files for single pulls, in auth_file's format and named as CRI-O does, NAMESPACE-SHA256.json by the name of the image without its tag; each is removed once it is read.",
          'an absolute path',
          'none',
        ),
      ),
    ...trustKeys,
    format: z
      .enum(['overlay', 'erofs'])
      .default('overlay')
      .meta(
        says(
          'How layers that come from now on are kept: unpacked into directories, or each as one immutable file that is mounted as EROFS, which needs Linux 6.12 (docs/decisions/0019).',
          '"overlay" or "erofs"',
        ),
      ),
    image_store: path
      .optional()
      .meta(
        says(
          'Where images lie (layers and their records), such as on a disk of its own; what containers write stays under root. A store that is in use is not left behind: move it first (docs/images.md).',
          'an absolute path',
          'the root directory',
        ),
      ),
    additional_stores: z
      .array(path)
      .default([])
      .meta(
        says(
          'Roots (or image_store directories) of other cri-ts whose images are used as they lie there, and are never changed or removed; each may be on a read-only file system, and no daemon may be running on it. Read at the start.',
          'an array of absolute paths',
        ),
      ),
    max_parallel_downloads: z
      .int()
      .min(1)
      .max(64)
      .default(6)
      .meta(
        says(
          'How much is fetched at once, over all pulls: layers and, where fewer are left, parts of big ones. Each takes some 4 MiB of memory.',
          'a number from 1 to 64',
        ),
      ),
    pull_progress_timeout: z
      .string()
      .refine((value) => durationMs(value) !== undefined)
      .default('5m')
      .meta(
        says(
          'How long a pull may wait without a byte, over all endpoints and retries, before it is given up, however big the image is; "0" is for ever.',
          'a duration in h, m, s and ms such as "5m" or "90s", or "0"',
        ),
      ),
    max_layer_size: z
      .string()
      .refine((value) => layerBytes(value) !== undefined)
      .default('64Gi')
      .meta(
        says(
          'How big a layer may be when it is uncompressed; the pull of a bigger one fails before it fills the disk (docs/decisions/0018).',
          'a quantity such as "64Gi" or "500M", from 1 to "16Ti"',
        ),
      ),
    platforms: z
      .array(z.string().regex(PLATFORM))
      .default([])
      .meta(
        says(
          "Platforms that images are pulled for, the best first; what is not this host's runs where binfmt_misc has an emulator for it, registered with the flag F (Debian's qemu-user-static does so).",
          'an array of platforms such as ["linux/amd64", "linux/arm64"]; empty for this host\'s',
        ),
      ),
    pinned_images: z
      .array(z.string().regex(/^\S+$/))
      .default([])
      .meta(
        says(
          "Images that kubelet's garbage collection leaves alone, by tag or digest; * stands for anything, and a name without a tag is its latest.",
          'an array of names such as "registry.example/base/*" or "*/pause*"',
        ),
      ),
  })
  .prefault({})

const LAYER_LIMIT_BYTES = 2n ** 44n

/** Undefined for what is no size of a layer. */
function layerBytes(text: string): number | undefined {
  try {
    const sizeBytes = parseQuantity(text)
    return sizeBytes > 0n && sizeBytes <= LAYER_LIMIT_BYTES ? Number(sizeBytes) : undefined
  } catch {
    return undefined
  }
}

/** What of the table [image] is set; paths are absolute and normal. */
export interface ImageSettings {
  /** Undefined: /etc/containers/certs.d, else /etc/containerd/certs.d. */
  readonly registriesDir: string | undefined
  readonly registriesConf: string
  /** Undefined: the usual places. */
  readonly authFile: string | undefined
  readonly namespacedAuthDir: string | undefined
  readonly trust: TrustSettings
  readonly format: 'overlay' | 'erofs'
  /** Undefined: the root directory. */
  readonly imageStore: string | undefined
  readonly additionalStores: readonly string[]
  readonly maxParallelDownloads: number
  /** 0: none. */
  readonly pullProgressTimeoutMs: number
  /** Of an uncompressed layer. */
  readonly maxLayerBytes: number
  /** Empty: this host's. */
  readonly platforms: readonly string[]
  readonly pinnedImages: readonly string[]
}

export function imageContradictions(root: string, file: z.infer<typeof imageTable>): [KeyPath, string][] {
  const own = resolve(file.image_store ?? root)
  if (!file.additional_stores.some((directory) => resolve(directory) === own)) return []
  const message = `image.additional_stores has ${own}, which is the image store itself: take it out`
  return [[['image', 'additional_stores'], message]]
}

export const imageSettings = (file: z.infer<typeof imageTable>): ImageSettings => ({
  registriesDir: file.registries_dir && resolve(file.registries_dir),
  registriesConf: resolve(file.registries_conf),
  authFile: file.auth_file && resolve(file.auth_file),
  namespacedAuthDir: file.namespaced_auth_dir && resolve(file.namespaced_auth_dir),
  trust: trustSettings(file),
  format: file.format,
  imageStore: file.image_store && resolve(file.image_store),
  additionalStores: file.additional_stores.map((directory) => resolve(directory)),
  maxParallelDownloads: file.max_parallel_downloads,
  pullProgressTimeoutMs: durationMs(file.pull_progress_timeout) ?? 0,
  maxLayerBytes: layerBytes(file.max_layer_size) ?? 0,
  platforms: file.platforms,
  pinnedImages: file.pinned_images,
})
