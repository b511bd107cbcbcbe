import { z } from 'zod'
import type { ErrorKind } from '#lib/errors.ts'

/**
 * The CLI's own commands are JSON over HTTP on a socket that only root may open; each group of them has its paths and
 * shapes in a file of its own. What takes long answers a line of JSON for each step (application/x-ndjson).
 * A failure answers {kind, message} of the CriError, in the last line where lines have been sent: {failure: {…}}.
 */
export const LINES = 'application/x-ndjson'

/** The HTTP status of each kind of error; the kind itself stands in the answer. */
export const statusOf = {
  'invalid-argument': 400,
  unauthenticated: 401,
  'not-found': 404,
  unverified: 403,
  'already-exists': 409,
  'failed-precondition': 412,
  'resource-exhausted': 429,
  cancelled: 499,
  internal: 500,
  unimplemented: 501,
  unavailable: 503,
  'registry-unavailable': 502,
  'deadline-exceeded': 504,
} as const satisfies { [kind in ErrorKind]: number }

export const failure = z.object({
  kind: z.enum(Object.keys(statusOf) as [ErrorKind, ...ErrorKind[]]),
  message: z.string(),
})

/** The last line of an answer that failed on its way. */
export const failureLine = z.object({ failure })
