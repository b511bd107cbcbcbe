import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { CriError } from '#lib/errors.ts'
import type { EndpointTls } from './registry-endpoint.ts'

let systemAuthorities: readonly string[] | undefined
let defaultContext: SecureContext | undefined

/**
 * What an endpoint's connections are secured with. Without settings of its own it is one context for all:
 * to parse the system's authorities takes some 20 ms. Throws failed-precondition where a PEM cannot be used.
 */
export function secureContext({ caPems, client, skipVerify }: EndpointTls, hostsFile: string): SecureContext {
  if (!skipVerify && caPems.length === 0 && client.length === 0) {
    defaultContext ??= createSecureContext({ ca: [...trustedAuthorities()] })
    return defaultContext
  }
  try {
    return createSecureContext({
      cert: client.map(({ certPem }) => certPem),
      key: client.map(({ keyPem }) => keyPem),
      ...(skipVerify ? {} : { ca: [...trustedAuthorities(), ...caPems] }),
    })
  } catch (cause) {
    throw new CriError(
      'failed-precondition',
      `a ca or client certificate beside ${hostsFile} cannot be used`,
      { cause },
    )
  }
}

/** The system's (SSL_CERT_FILE, /etc/ssl/certs) with NODE_EXTRA_CA_CERTS; Node's own only where it has none. */
function trustedAuthorities(): readonly string[] {
  if (systemAuthorities === undefined) {
    const system = getCACertificates('system')
    const base = system.length > 0 ? system : getCACertificates('bundled')
    systemAuthorities = [...new Set([...base, ...getCACertificates('extra')])]
  }
  return systemAuthorities
}
