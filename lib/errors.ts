/** What went wrong, in words a caller can act on. Each kind has one gRPC status: see cri/status.ts. */
export type ErrorKind =
  | 'invalid-argument'
  | 'not-found'
  | 'already-exists'
  | 'failed-precondition'
  | 'deadline-exceeded'
  | 'cancelled'
  | 'unavailable'
  | 'unauthenticated'
  | 'unimplemented'
  | 'resource-exhausted'
  /** An image that policy refuses. */
  | 'unverified'
  | 'registry-unavailable'
  | 'internal'

/** A failure that was foreseen. Anything else that is thrown is a bug, and is reported as INTERNAL. */
export class CriError extends Error {
  override readonly name = 'CriError'
  readonly kind: ErrorKind

  constructor(kind: ErrorKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
  }
}

export const invalidArgument = (message: string, options?: ErrorOptions): CriError =>
  new CriError('invalid-argument', message, options)

export const notFound = (what: string, id: string): CriError =>
  new CriError('not-found', `${what} ${id} not found`)

export const isNotFound = (thrown: unknown): boolean =>
  thrown instanceof CriError && thrown.kind === 'not-found'

/** The message of a failure with its causes, outermost first: `pull alpine: registry answered 401: token expired`. */
export function describeError(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  if (thrown instanceof AggregateError) {
    return `${thrown.message}: ${thrown.errors.map(describeError).join('; ')}`
  }
  return thrown.cause === undefined ? thrown.message : `${thrown.message}: ${describeError(thrown.cause)}`
}

/** The code of a failed system call (`ENOENT`), whoever made it. */
export function errnoOf(thrown: unknown): string | undefined {
  const code: unknown = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
  return typeof code === 'string' ? code : undefined
}
