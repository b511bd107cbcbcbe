import { z } from 'zod'

/**
 *   POST   /v1/images/import?name=NAME  {"path": "/an/archive.tar"}     → [{id, names}]
 *   POST   /v1/images/export {images, path, format, compression}          → [{id, names}]
 *   POST   /v1/images/pull              {reference, auth?, platform?}    → lines: {layers} as they change, then {id}
 *   GET    /v1/images                                                    → [{id, tags, digests, sizeBytes, pinned}]
 *   GET    /v1/images/one?reference=R                                    → {id, tags, …, config}
 *   DELETE /v1/images/one?reference=R                                    → {id, tags, digests}
 */
export const IMPORT_PATH = '/v1/images/import'
export const EXPORT_PATH = '/v1/images/export'
export const PULL_PATH = '/v1/images/pull'
export const IMAGES_PATH = '/v1/images'
export const IMAGE_PATH = '/v1/images/one'

const absolutePath = z.string().regex(/^\/[^\0]+$/)
export const importRequest = z.strictObject({ path: absolutePath })

export const exportRequest = z.strictObject({
  /** Names or ids. */
  images: z.array(z.string()).min(1).readonly(),
  path: absolutePath,
  format: z.enum(['oci', 'docker']),
  compression: z.enum(['none', 'gzip']),
})

export const pullRequest = z.strictObject({
  reference: z.string(),
  auth: z.strictObject({ username: z.string(), password: z.string() }).optional(),
  /** os/architecture[/variant] */
  platform: z.string().optional(),
})

/** Of an import or an export. */
export const importedImages = z.array(z.object({ id: z.string(), names: z.array(z.string()) }))

const named = z.object({ id: z.string(), tags: z.array(z.string()), digests: z.array(z.string()) })
export const removedImage = named
const listed = named.extend({ sizeBytes: z.number(), pinned: z.boolean() })
export const listedImages = z.array(listed)

export const inspectedImage = listed.extend({
  /** os/architecture[/variant] */
  platform: z.string(),
  /** ISO 8601 */
  pulledAt: z.string(),
  manifestDigest: z.string().optional(),
  layers: z.array(z.string()),
  config: z.looseObject({}),
})

const layer = z.object({
  digest: z.string(),
  phase: z.enum(['waiting', 'fetching', 'unpacking', 'done', 'here']),
  receivedBytes: z.number(),
  sizeBytes: z.number(),
})

/** `layers` are those that have changed, by their number from the base. */
export const pullLine = z.union([
  z.object({ layers: z.record(z.string().regex(/^\d+$/), layer) }),
  z.object({ id: z.string() }),
])
