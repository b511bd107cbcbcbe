import { z } from 'zod'
import type { ErrorKind } from '#lib/errors.ts'

/**
 * The CLI's own commands, as JSON over HTTP on a socket that only root may open:
 *   POST /v1/images/import?name=NAME  {"path": "/an/archive.tar"}  → [{id, names}]
 *   GET  /v1/images                                                → [{id, tags, digests, sizeBytes}]
 * A failure answers {kind, message} of the CriError.
 */
export const IMPORT_PATH = '/v1/images/import'
export const IMAGES_PATH = '/v1/images'

export const importRequest = z.strictObject({ path: z.string().regex(/^\/[^\0]+$/) })

export const importedImages = z.array(z.object({ id: z.string(), names: z.array(z.string()) }))

export const listedImages = z.array(
  z.object({
    id: z.string(),
    tags: z.array(z.string()),
    digests: z.array(z.string()),
    sizeBytes: z.number(),
  }),
)

/** The HTTP status of each kind of error; the kind itself stands in the answer. */
export const statusOf = {
  'invalid-argument': 400,
  unauthenticated: 401,
  'not-found': 404,
  'already-exists': 409,
  'failed-precondition': 412,
  'resource-exhausted': 429,
  cancelled: 499,
  internal: 500,
  unimplemented: 501,
  unavailable: 503,
  'deadline-exceeded': 504,
} as const satisfies { [kind in ErrorKind]: number }

export const failure = z.object({
  kind: z.enum(Object.keys(statusOf) as [ErrorKind, ...ErrorKind[]]),
  message: z.string(),
})
