import { X509Certificate } from 'node:crypto'
import { describeError } from '#lib/errors.ts'
import { areFor } from './auth-credentials.ts'
import type { AuthSources } from './auth-sources.ts'
import { nameOf, parseReference, type Reference } from './reference.ts'
import type { Registries } from './registries.ts'
import type { BreakerState, RegistryBreaker } from './registry-breaker.ts'
import type { EndpointTls, RegistryEndpoint } from './registry-endpoint.ts'
import { shownUrl } from './registry-failure.ts'

/** What a pull of a reference would do, without a request to anybody. Holds no credentials. */
export interface Explanation {
  readonly reference: string
  /** Of a short name: what says what it stands for; else ''. */
  readonly resolvedBy: string
  /** To be tried in this order. */
  readonly images: readonly ExplainedImage[]
}

export interface ExplainedImage {
  readonly name: string
  /** In the order in which they are asked. */
  readonly endpoints: readonly ExplainedEndpoint[]
  /** Places that may not be asked, and who says so. */
  readonly blocked: readonly string[]
}

export interface ExplainedEndpoint {
  /** Of the manifest. */
  readonly url: string
  readonly isMirror: boolean
  /** The file, the line and the section; '' where nothing is configured. */
  readonly source: string
  readonly capabilities: readonly ('resolve' | 'pull')[]
  readonly tls: {
    readonly verify: boolean
    /** Http is spoken from the start, or where https turns out not to be. */
    readonly plainHttp: 'always' | 'fallback' | 'never'
    /** Trusted beside the system's authorities: subject and end. */
    readonly authorities: readonly string[]
    readonly clientCertificates: readonly string[]
  }
  /** `host[:port]`; '' where hosts.toml names none. */
  readonly proxy: string
  /** Names of those that the configuration adds. */
  readonly headers: readonly string[]
  readonly credentials: {
    /** Whether it gets those of a request that does not say whom they are for. */
    readonly fromRequest: boolean
    /** Where else they are looked for once it asks for some, the first first. */
    readonly kept: readonly string[]
    /** Why that cannot be said; '' if it can. */
    readonly problem: string
  }
  /** Left out when it has not failed, and where no daemon says so. */
  readonly breaker?: BreakerState | undefined
}

export interface ExplainOptions {
  readonly registries: Registries
  readonly auths: AuthSources
  /** The daemon's; left out where there is none. */
  readonly breaker?: RegistryBreaker
}

/** For a pod of the namespace, '' for nobody's. Throws as a pull would: invalid-argument, failed-precondition. */
export function explainPull(text: string, namespace: string, options: ExplainOptions): Explanation {
  const { registries, auths, breaker } = options
  const { references, resolvedBy } = registries.fullNames(text)
  const own = parseReference(text)
  const images = references.map((reference) => {
    const { endpoints, blocked } = registries.routes(reference)
    const explained = endpoints.map((endpoint): ExplainedEndpoint => {
      const askedFor = resolvedBy === '' ? reference.registry : own.registry
      return {
        ...aboutEndpoint(endpoint, reference),
        credentials: {
          fromRequest: areFor(endpoint.root, askedFor, ''),
          ...keptFor(() => auths.describe(endpoint, own.name, namespace)),
        },
        breaker: breaker?.state(endpoint),
      }
    })
    return { name: nameOf(reference), endpoints: explained, blocked }
  })
  return { reference: text, resolvedBy, images }
}

function aboutEndpoint(endpoint: RegistryEndpoint, { tag, digest }: Reference) {
  const { root, repository, isMirror, namespace, source, canResolve, canPull, headers } = endpoint
  const query = namespace === undefined ? '' : `?ns=${encodeURIComponent(namespace)}`
  return {
    url: `${shownUrl(root).replace(/\/$/, '')}/${repository}/manifests/${digest ?? tag}${query}`,
    ...{ isMirror, source },
    capabilities: [...(canResolve ? ['resolve' as const] : []), ...(canPull ? ['pull' as const] : [])],
    tls: aboutTls(endpoint),
    proxy: endpoint.proxy === undefined ? '' : new URL(endpoint.proxy).host,
    headers: Object.keys(headers),
  }
}

function aboutTls({ root, tls, plainHttpFallback }: RegistryEndpoint): ExplainedEndpoint['tls'] {
  const { caPems, client, skipVerify }: EndpointTls = tls
  const plainHttp = root.protocol === 'http:' ? 'always' : plainHttpFallback ? 'fallback' : 'never'
  return {
    verify: !skipVerify,
    plainHttp,
    authorities: caPems.map(aboutCertificate),
    clientCertificates: client.map(({ certPem }) => aboutCertificate(certPem)),
  }
}

function aboutCertificate(pem: string): string {
  try {
    const { subject, validTo } = new X509Certificate(pem)
    return `${subject.replaceAll('\n', ', ')}, until ${validTo}`
  } catch {
    return 'a certificate that cannot be read'
  }
}

function keptFor(describe: () => readonly string[]) {
  try {
    return { kept: describe(), problem: '' }
  } catch (thrown) {
    return { kept: [], problem: describeError(thrown) }
  }
}
