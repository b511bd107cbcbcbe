/** Where a registry's API is served, and how to speak with it: from hosts.toml, or by default. */
export interface RegistryEndpoint {
  /** The API's root, which ends with `/v2` unless it was overridden. */
  readonly root: URL
  /** Its host is not the reference's registry: it gets no credentials, and is told the registry by `?ns=`. */
  readonly isMirror: boolean
  /** What the administrator trusts it with: content by digest, and what digest a tag stands for. */
  readonly canPull: boolean
  readonly canResolve: boolean
  readonly headers: { readonly [name: string]: readonly string[] }
  readonly tls: EndpointTls
  /** Undefined: the default. */
  readonly connectTimeoutMs: number | undefined
  /** Asked for by https; http is taken where it turns out not to speak TLS. */
  readonly plainHttpFallback: boolean
  /** The file that a remedy is to be written in. */
  readonly hostsFile: string
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
