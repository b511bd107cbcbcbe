import { CriError, type ErrorKind, errnoOf } from '#lib/errors.ts'

interface FailureDetails {
  readonly kind: ErrorKind
  /** Whether the same request may succeed a moment later. */
  readonly passing?: boolean
  /** The endpoint does not answer at all: the rest of the pull does without it. */
  readonly unreachable?: boolean
  /** The server itself is in trouble: a status from 500 on. */
  readonly broken?: boolean
  /** The server has no answer to this kind of request. */
  readonly unsupported?: boolean
  /** When the server says to ask again. */
  readonly retryAfterMs?: number | undefined
  readonly cause?: unknown
}

/** Why one endpoint did not give what it was asked for. Messages hold no credentials and no URL queries. */
export class RegistryFailure extends Error {
  override readonly name = 'RegistryFailure'
  readonly kind: ErrorKind
  readonly passing: boolean
  readonly unreachable: boolean
  readonly broken: boolean
  readonly unsupported: boolean
  readonly retryAfterMs: number | undefined

  constructor(message: string, details: FailureDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.kind = details.kind
    this.passing = details.passing ?? false
    this.unreachable = details.unreachable ?? false
    this.broken = details.broken ?? false
    this.unsupported = details.unsupported ?? false
    this.retryAfterMs = details.retryAfterMs
  }

  /** The same failure in other words. */
  as(message: string): RegistryFailure {
    return message === this.message ? this : new RegistryFailure(message, this)
  }
}

/** A URL as errors show it: the query may hold a signature, the user part a password. */
export const shownUrl = (url: URL): string => `${url.protocol}//${url.host}${url.pathname}`

/** A connection that failed, with what to do about it. `hostsFile` is where TLS settings of this registry belong. */
export function connectionFailure(thrown: unknown, url: URL, hostsFile: string): RegistryFailure | CriError {
  if (thrown instanceof RegistryFailure || thrown instanceof CriError) return thrown
  const code = codeOf(thrown)
  const remedy = tlsRemedy(code, url, hostsFile)
  if (remedy !== undefined) {
    return new RegistryFailure(`${shownUrl(url)}: ${code}: ${remedy}`, {
      kind: 'unavailable',
      unreachable: true,
    })
  }
  return new RegistryFailure(`${shownUrl(url)}: ${meaningOf(code) ?? describe(thrown)}`, {
    kind: 'unavailable',
    passing: code !== 'ENOTFOUND' && code !== 'ECONNREFUSED',
    unreachable: true,
  })
}

/**
 * Whether plain HTTP may be what is spoken there: a TLS greeting was answered with something else, or nothing listens
 * on https' own port.
 */
export const mayBePlainHttp = (thrown: unknown, { port }: URL): boolean =>
  noTls.test(codeOf(thrown)) || (port === '' && codeOf(thrown) === 'ECONNREFUSED')

const noTls = /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|^EPROTO$|UNKNOWN_PROTOCOL/

const unknownAuthority =
  /^(SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT.*|CERT_UNTRUSTED)$/

function tlsRemedy(code: string, url: URL, hostsFile: string): string | undefined {
  if (unknownAuthority.test(code)) {
    return `its certificate is signed by an authority that this host does not know: name the authority's file as ca in ${hostsFile}`
  }
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return "its certificate is not valid today: renew it, or set this host's clock"
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `its certificate is not for ${url.hostname}: use a name that it is for, or issue one for this name`
  }
  if (/ALERT_(CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|BAD_CERTIFICATE|UNKNOWN_CA)/.test(code)) {
    return `it wants a client certificate that it knows: name it as client in ${hostsFile}`
  }
  if (noTls.test(code)) {
    return `it does not speak TLS: for plain HTTP write server = "http://${url.host}" into ${hostsFile}`
  }
  return undefined
}

const meanings: { readonly [code: string]: string } = {
  ECONNREFUSED: 'connection refused: nothing listens there',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ETIMEDOUT: 'the connection timed out',
  ENOTFOUND: 'the host name has no address',
  EAI_AGAIN: 'the host name could not be looked up: no name server answers',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
}
const meaningOf = (code: string): string | undefined => meanings[code]

/** Of a connection to several addresses of one name, the first that says why. */
function codeOf(thrown: unknown): string {
  const inner =
    thrown instanceof AggregateError ? thrown.errors.find((error) => errnoOf(error) !== undefined) : thrown
  return errnoOf(inner) ?? errnoOf(thrown) ?? ''
}

const describe = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown))
