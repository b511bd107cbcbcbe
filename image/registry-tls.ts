import { createHash } from 'node:crypto'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { CriError } from '#lib/errors.ts'
import type { EndpointTls } from './registry-endpoint.ts'

let systemAuthorities: readonly string[] | undefined
/** By the settings that they are made of, the latest last. */
const contexts = new Map<string, SecureContext>()
const MOST_CONTEXTS = 32

/**
 * What an endpoint's connections are secured with, one for all of the same settings: to parse the system's authorities
 * takes some 20 ms. Throws failed-precondition where a PEM cannot be used.
 */
export function secureContext(tls: EndpointTls, hostsFile: string): SecureContext {
  const key = tlsKey(tls)
  const known = contexts.get(key)
  if (known !== undefined) return known
  const oldest = contexts.size >= MOST_CONTEXTS ? contexts.keys().next().value : undefined
  if (oldest !== undefined) contexts.delete(oldest)
  const made = makeContext(tls, hostsFile)
  contexts.set(key, made)
  return made
}

/** The same for the same settings; tells nothing of the keys in them. */
export const tlsKey = (tls: EndpointTls): string =>
  createHash('sha256').update(JSON.stringify(tls)).digest('base64')

function makeContext({ caPems, client, skipVerify }: EndpointTls, hostsFile: string): SecureContext {
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
