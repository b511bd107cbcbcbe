import { status } from '@grpc/grpc-js'
import { CriError, describeError, type ErrorKind } from '#lib/errors.ts'

export interface GrpcStatus {
  readonly code: status
  readonly details: string
}

const statusOf = {
  'invalid-argument': status.INVALID_ARGUMENT,
  'not-found': status.NOT_FOUND,
  'already-exists': status.ALREADY_EXISTS,
  'failed-precondition': status.FAILED_PRECONDITION,
  'deadline-exceeded': status.DEADLINE_EXCEEDED,
  cancelled: status.CANCELLED,
  unavailable: status.UNAVAILABLE,
  unauthenticated: status.UNAUTHENTICATED,
  unimplemented: status.UNIMPLEMENTED,
  'resource-exhausted': status.RESOURCE_EXHAUSTED,
  // Only of UNKNOWN does kubelet read what the message begins with.
  unverified: status.UNKNOWN,
  'registry-unavailable': status.UNKNOWN,
  internal: status.INTERNAL,
} as const satisfies Record<ErrorKind, status>

/** Details travel in an HTTP/2 header, percent-encoded; a peer may refuse a long one and lose the whole status. */
const maxDetailsLength = 4096

/** The one place where a failure becomes a gRPC status. Whatever is not a CriError is a bug: INTERNAL. */
export function toGrpcStatus(thrown: unknown): GrpcStatus {
  const first = firstFailure(thrown)
  return { code: codeOf(first), details: shortened(describeError(first)) }
}

/** What went wrong first. A teardown that failed after it suppresses it (`using`), but is not what the caller asked about. */
export function firstFailure(thrown: unknown): unknown {
  return thrown instanceof SuppressedError ? firstFailure(thrown.suppressed) : thrown
}

function codeOf(failure: unknown): status {
  if (failure instanceof CriError) return statusOf[failure.kind]
  // The call's signal was aborted, and what it was handed to says so in its own words.
  return failure instanceof Error && failure.name === 'AbortError' ? status.CANCELLED : status.INTERNAL
}

const shortened = (details: string): string =>
  details.length <= maxDetailsLength
    ? details
    : `${details.slice(0, maxDetailsLength)} … (the log has the rest)`
