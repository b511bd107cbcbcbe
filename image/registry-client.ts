import type { OutgoingHttpHeaders } from 'node:http'
import { parseChallenges } from './auth-challenge.ts'
import { secretsOfHeader, withoutSecrets } from './auth-secrets.ts'
import { AuthSession, type PullAuth } from './auth-session.ts'
import { readToken, type TokenRequest, tokenHttpRequest } from './auth-token.ts'
import type { RegistryObserver } from './pull-metrics.ts'
import type { Reference } from './reference.ts'
import type { Batch } from './registry-body.ts'
import { isOwnHost, type RegistryEndpoint } from './registry-endpoint.ts'
import { RegistryFailure, shownUrl } from './registry-failure.ts'
import {
  type HttpRequest,
  type HttpResponse,
  type HttpTimeouts,
  RegistryConnections,
} from './registry-http.ts'
import { type RetryPolicy, retrying } from './registry-retry.ts'
import { statusFailure } from './registry-status.ts'

export interface RegistryClientOptions {
  readonly timeouts: HttpTimeouts
  readonly retries: RetryPolicy
  readonly observer?: RegistryObserver | undefined
}

const LONGEST_TOKEN_BYTES = 1 << 20
const secretHeader = /auth|cookie|key|pass|secret|token/i
const USER_AGENT = { 'user-agent': 'cri-ts' }

/** One endpoint of the distribution API (OCI distribution-spec), for the length of one pull of one repository. */
export class RegistryClient implements Disposable {
  readonly endpoint: RegistryEndpoint
  readonly #options: RegistryClientOptions
  readonly #connections: RegistryConnections
  readonly #auth: AuthSession
  readonly #signal: AbortSignal

  /** `signal` ends the pull. Throws invalid-argument when the credentials cannot be read. */
  constructor(
    endpoint: RegistryEndpoint,
    reference: Reference,
    auth: PullAuth,
    options: RegistryClientOptions,
    signal: AbortSignal,
  ) {
    this.endpoint = endpoint
    this.#options = options
    this.#signal = signal
    this.#connections = new RegistryConnections(endpoint, options.timeouts)
    this.#auth = new AuthSession({
      endpoint,
      registry: reference.registry,
      auth,
      fetchToken: (request) => this.#fetchToken(request),
      signal,
    })
  }

  /**
   * Asks for `path` below the repository: `manifests/latest`. The answer's status is 200 or 206.
   * Throws RegistryFailure where it is another, after the retries that make sense.
   */
  request(
    method: 'GET' | 'HEAD',
    path: string,
    headers: OutgoingHttpHeaders,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    const url = this.#url(path)
    const whole = { ...this.endpoint.headers, ...USER_AGENT, ...headers } as OutgoingHttpHeaders
    return retrying(
      async () => {
        const response = await this.#authorized({ method, url, headers: whole }, signal)
        if (response.status === 200 || response.status === 206) return response
        throw await statusFailure(response, this.#connections, this.#auth.hint, signal)
      },
      this.#retries,
      signal,
    )
  }

  /**
   * The same of a URL that an earlier answer redirected to, without credentials and once only: undefined where the
   * answer is none of success, such a URL may be good for a while only.
   */
  async requestOnce(
    url: URL,
    headers: OutgoingHttpHeaders,
    signal: AbortSignal,
  ): Promise<HttpResponse | undefined> {
    try {
      const response = await this.#send(
        { method: 'GET', url, headers: { ...USER_AGENT, ...headers } },
        signal,
      )
      if (response.status === 200 || response.status === 206) return response
      response.body.destroy()
    } catch (thrown) {
      if (!(thrown instanceof RegistryFailure)) throw thrown
    }
    return undefined
  }

  /** A failure here without the secrets that the endpoint was sent: it may repeat them, in a text or in a URL. */
  concealed(failure: RegistryFailure): RegistryFailure {
    const headers = Object.entries(this.endpoint.headers).filter(([name]) => secretHeader.test(name))
    const ours = headers.flatMap(([, values]) => values.flatMap(secretsOfHeader))
    return failure.as(withoutSecrets(failure.message, [...this.#auth.secrets, ...ours]))
  }

  /** Whether a URL is of another host than the endpoint's. */
  isElsewhere(url: URL): boolean {
    return url.host !== this.endpoint.root.host
  }

  get #retries(): RetryPolicy {
    const { retries, observer } = this.#options
    return { ...retries, onRetry: () => observer?.retried(this.endpoint.root.host) }
  }

  async #send(request: HttpRequest, signal: AbortSignal): Promise<HttpResponse> {
    const { host } = request.url
    try {
      const response = await this.#connections.send(request, signal)
      this.#options.observer?.answered(host, String(response.status))
      return response
    } catch (thrown) {
      if (thrown instanceof RegistryFailure) this.#options.observer?.answered(host, 'unreachable')
      throw thrown
    }
  }

  read(response: HttpResponse, signal: AbortSignal): AsyncIterable<Batch> {
    return this.#connections.read(response, signal)
  }

  readAll(response: HttpResponse, limitBytes: number, signal: AbortSignal): Promise<Buffer> {
    return this.#connections.readAll(response, limitBytes, signal)
  }

  [Symbol.dispose](): void {
    this.#connections[Symbol.dispose]()
  }

  async #authorized(request: HttpRequest, signal: AbortSignal): Promise<HttpResponse> {
    const used = this.#auth.header
    const response = await this.#send(withAuthorization(request, used), signal)
    // A host it was redirected to is not the one that the credentials are for.
    if (response.status !== 401 || response.url.host !== request.url.host) return response
    response.body.resume()
    const renewed = await this.#auth.answer(parseChallenges(response.challenges), used)
    return this.#send(withAuthorization(request, renewed), signal)
  }

  async #fetchToken(request: TokenRequest): Promise<string> {
    try {
      return await retrying(() => this.#askForToken(request), this.#retries, this.#signal)
    } catch (thrown) {
      if (!(thrown instanceof RegistryFailure)) throw thrown
      // Its own retries are over: the request that needs the token is not to be repeated for it.
      throw new RegistryFailure(`no token: ${thrown.message}`, { kind: thrown.kind })
    }
  }

  async #askForToken(request: TokenRequest): Promise<string> {
    const { url, ...rest } = tokenHttpRequest(request)
    const own = isOwnHost(this.endpoint, url) ? this.endpoint.headers : {}
    const headers = { ...own, ...USER_AGENT, ...rest.headers } as OutgoingHttpHeaders
    const response = await this.#send({ ...rest, url, headers }, this.#signal)
    if (response.status !== 200)
      throw await statusFailure(response, this.#connections, this.#auth.hint, this.#signal)
    const token = readToken(await this.readAll(response, LONGEST_TOKEN_BYTES, this.#signal))
    if (token !== undefined) return token
    throw new RegistryFailure(`${shownUrl(url)}: the token server's answer holds no token`, {
      kind: 'unauthenticated',
    })
  }

  #url(path: string): URL {
    const url = new URL(this.endpoint.root)
    url.pathname = `${url.pathname.replace(/\/$/, '')}/${this.endpoint.repository}/${path}`
    if (this.endpoint.namespace !== undefined) url.searchParams.set('ns', this.endpoint.namespace)
    return url
  }
}

function withAuthorization(request: HttpRequest, authorization: string | undefined): HttpRequest {
  if (authorization === undefined) return request
  const others = Object.entries(request.headers).filter(([name]) => name.toLowerCase() !== 'authorization')
  return { ...request, headers: { ...Object.fromEntries(others), authorization } }
}
