import { z } from 'zod'
import type { ErrorKind } from '#lib/errors.ts'
import { foreignJson } from './foreign-json.ts'
import { RegistryFailure, shownUrl } from './registry-failure.ts'
import type { HttpResponse, RegistryConnections } from './registry-http.ts'

const LONGEST_ANSWER_BYTES = 64 << 10
const LONGEST_SHOWN = 300

/** What an answer that is no success means: its status and what the registry says of it, and whether to ask again. */
export async function statusFailure(
  response: HttpResponse,
  connections: RegistryConnections,
  hint: string,
  signal: AbortSignal,
): Promise<RegistryFailure> {
  const { status, url } = response
  const said = describeBody(
    await connections.readAll(response, LONGEST_ANSWER_BYTES, signal).catch(() => Buffer.alloc(0)),
  )
  const retryAfterMs = parseRetryAfter(response.headers['retry-after'], Date.now())
  const later =
    retryAfterMs === undefined ? '' : `, it says to ask again after ${Math.ceil(retryAfterMs / 1000)} s`
  const kind = kindOf(status)
  return new RegistryFailure(
    `${shownUrl(url)}: ${status} ${meaningOf(status)}${said}${later}${kind === 'unauthenticated' ? hint : ''}`,
    {
      kind,
      passing: status === 429 || status === 408 || (status >= 500 && status !== 501),
      broken: status >= 500 && status !== 501,
      unsupported: status === 405 || status === 416 || status === 501,
      retryAfterMs,
    },
  )
}

/** Seconds or a date (RFC 9110, 10.2.3), as milliseconds from now on. */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  const at = /^[A-Z][a-z]{2}, /.test(value) ? Date.parse(value) : Number.NaN
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs)
}

function kindOf(status: number): ErrorKind {
  if (status === 401 || status === 403) return 'unauthenticated'
  return status === 404 ? 'not-found' : 'unavailable'
}

const meanings: { readonly [status: number]: string } = {
  401: 'not authorized',
  403: 'not allowed',
  404: 'not found',
  408: 'timed out',
  416: 'no such range',
  429: 'too many requests',
  500: 'internal error of the registry',
  502: 'bad gateway',
  503: 'not available',
  504: 'gateway timed out',
}
const meaningOf = (status: number): string => meanings[status] ?? 'unexpected'

/** distribution-spec, Error Codes. */
const errorsSchema = z.object({
  errors: z.array(z.object({ code: z.string().default(''), message: z.string().default('') })),
})

function describeBody(body: Buffer): string {
  const parsed = errorsSchema.safeParse(foreignJson(body))
  const first = parsed.success ? parsed.data.errors[0] : undefined
  const said = first === undefined ? '' : `${first.code} ${first.message}`.trim()
  // A foreign text goes into logs and terminals: nothing but printable characters, and not many.
  const shown = said.replace(/\p{C}/gu, '').slice(0, LONGEST_SHOWN)
  return shown === '' ? '' : ` (${shown})`
}
