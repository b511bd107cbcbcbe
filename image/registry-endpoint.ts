/** Where an image is asked for, and how: from registries.conf and hosts.toml, or by default. */
export interface RegistryEndpoint {
  /** The API's root, which ends with `/v2` unless it was overridden. */
  readonly root: URL
  /** Whose repository is asked for there: the reference's, or what registries.conf makes of it. */
  readonly registry: string
  readonly repository: string
  /** It stands in for the registry, and may be passed over. */
  readonly isMirror: boolean
  /** What `?ns=` tells it: the registry, where its host is another one. */
  readonly namespace: string | undefined
  /** What the administrator trusts it with: content by digest, and what digest a tag stands for. */
  readonly canPull: boolean
  readonly canResolve: boolean
  readonly headers: { readonly [name: string]: readonly string[] }
  readonly tls: EndpointTls
  /** Undefined: the default. */
  readonly connectTimeoutMs: number | undefined
  /** The URL of a proxy; undefined: as HTTPS_PROXY and its like say. */
  readonly proxy: string | undefined
  /** Asked for by https; http is taken where it turns out not to speak TLS. */
  readonly plainHttpFallback: boolean
  /** The file that a remedy is to be written in. */
  readonly hostsFile: string
  /** The file, the line and the section that it comes from; '' where nothing is configured. */
  readonly source: string
}

/** In PEM. `caPems` are trusted beside the system's authorities. */
export interface EndpointTls {
  readonly caPems: readonly string[]
  readonly client: readonly { readonly certPem: string; readonly keyPem: string }[]
  readonly skipVerify: boolean
}

const DOCKER_HUB = 'registry-1.docker.io'

/** The host that serves a registry: Docker Hub's name is not its address. */
export function hostOfRegistry(registry: string): string {
  return registry === 'docker.io' || registry === 'index.docker.io' ? DOCKER_HUB : registry
}

/** Whether a URL's host is the registry's, a default port written or not. */
export function servesRegistry(url: URL, registry: string): boolean {
  const own = URL.parse(`${url.protocol}//${hostOfRegistry(registry)}`)
  return own !== null && own.host === url.host
}

/** Whether a URL is of the endpoint's host, reached no less securely than the endpoint is by its configuration. */
export function isOwnHost({ root, plainHttpFallback }: RegistryEndpoint, url: URL): boolean {
  const secured = url.protocol === 'https:' || root.protocol === 'http:' || plainHttpFallback
  return secured && url.host === root.host
}

export const isLoopback = (hostname: string): boolean =>
  hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname)
