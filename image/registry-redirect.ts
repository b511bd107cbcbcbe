import type { OutgoingHttpHeaders } from 'node:http'
import { isOwnHost, type RegistryEndpoint } from './registry-endpoint.ts'
import { RegistryFailure, shownUrl } from './registry-failure.ts'
import type { HttpRequest, HttpResponse } from './registry-http.ts'

/**
 * Where the answer to a request redirects to, if it does. Throws RegistryFailure for what is no http or https URL, for a
 * way from https to plain http unless the endpoint is plain http by its configuration, and for a request with a body.
 */
export function redirectOf(
  { body }: Pick<HttpRequest, 'body'>,
  { status, headers, url }: HttpResponse,
  { root, plainHttpFallback, hostsFile }: RegistryEndpoint,
): URL | undefined {
  if (![301, 302, 303, 307, 308].includes(status) || headers.location === undefined) return undefined
  const next = URL.parse(headers.location, url)
  if (next === null || !/^https?:$/.test(next.protocol)) {
    throw refusal(`${shownUrl(url)}: redirects to what is no http or https URL`)
  }
  // An identity token is all that is ever sent in one.
  if (body !== undefined) {
    throw refusal(
      `${shownUrl(url)}: redirects to ${shownUrl(next)}, but credentials in a body are sent only to the server that ` +
        'asked for them: it must answer itself',
    )
  }
  const losesTls = url.protocol === 'https:' && next.protocol === 'http:'
  if (!losesTls || root.protocol === 'http:' || plainHttpFallback) return next
  throw refusal(
    `${shownUrl(url)}: redirects to ${shownUrl(next)}, which is not secured: if that is meant, ` +
      `name the host with http:// in ${hostsFile}`,
  )
}

/** Strangers get only what says which representation is wanted, and so does the first host in clear after https. */
export function headersFor(url: URL, first: HttpRequest, endpoint: RegistryEndpoint): OutgoingHttpHeaders {
  const secured = url.protocol === 'https:' || url.protocol === first.url.protocol
  if (url.host === first.url.host && (secured || isOwnHost(endpoint, url))) return first.headers
  const kept = Object.entries(first.headers).filter(([name]) => /^(accept|range|user-agent)$/i.test(name))
  return Object.fromEntries(kept)
}

const refusal = (message: string): RegistryFailure => new RegistryFailure(message, { kind: 'unavailable' })
