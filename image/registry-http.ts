import {
  type ClientRequest,
  Agent as HttpAgent,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request as requestHttp,
} from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { CriError } from '#lib/errors.ts'
import { type Batch, batchesOf, sizeOf } from './registry-body.ts'
import { isLoopback, type RegistryEndpoint } from './registry-endpoint.ts'
import { connectionFailure, mayBePlainHttp, RegistryFailure, shownUrl } from './registry-failure.ts'
import { headersFor, redirectOf } from './registry-redirect.ts'
import { secureContext } from './registry-tls.ts'

export interface HttpTimeouts {
  /** Until the connection, and its TLS, stands. */
  readonly connectMs: number
  /** From then until the response's headers. */
  readonly responseMs: number
  /** Without a byte of the body, while somebody waits for one. */
  readonly stallMs: number
}

export const DEFAULT_TIMEOUTS: HttpTimeouts = { connectMs: 30_000, responseMs: 60_000, stallMs: 60_000 }

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly url: URL
  readonly headers: OutgoingHttpHeaders
  readonly body?: string
}

export interface HttpResponse {
  /** After redirects. */
  readonly url: URL
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly challenges: readonly string[]
  readonly body: IncomingMessage
}

const MOST_REDIRECTS = 10
const MOST_CONNECTIONS = 8

/** The connections of one pull to one endpoint and to where it redirects: kept open until the pull ends. */
export class RegistryConnections implements Disposable {
  readonly #endpoint: RegistryEndpoint
  readonly #timeouts: HttpTimeouts
  readonly #agents = new Map<string, HttpAgent>()
  #plainHttp = false

  constructor(endpoint: RegistryEndpoint, timeouts: HttpTimeouts) {
    const connectMs = endpoint.connectTimeoutMs ?? timeouts.connectMs
    this.#endpoint = endpoint
    this.#timeouts = { ...timeouts, connectMs }
  }

  /**
   * Follows redirects; what authorizes at the first host, and the endpoint's own headers, go to no other, and nothing
   * that was asked for by https is asked for in clear, unless the endpoint is plain http by its configuration. What has a
   * body is sent once: a redirect of it is an error.
   * Answers whatever the status is, and throws RegistryFailure when there is none, cancelled when `signal` aborts.
   */
  async send(request: HttpRequest, signal: AbortSignal): Promise<HttpResponse> {
    let { url } = request
    for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects += 1) {
      const headers = headersFor(url, request, this.#endpoint)
      const response = await this.#sendOrFallBack({ ...request, url, headers }, signal)
      const next = redirectOf(request, response, this.#endpoint)
      if (next === undefined) return response
      response.body.resume()
      url = next
    }
    throw new RegistryFailure(`${shownUrl(request.url)}: redirected more than ${MOST_REDIRECTS} times`, {
      kind: 'unavailable',
    })
  }

  /** The body's chunks, in time: a consumer may be slow, a server may not. */
  async *read({ body, url }: HttpResponse, signal: AbortSignal): AsyncGenerator<Batch> {
    const { stallMs } = this.#timeouts
    const waiting = () => {
      const why = `${shownUrl(url)}: no byte came for ${stallMs / 1000} s`
      const stalled = () => body.destroy(new RegistryFailure(why, { kind: 'unavailable', passing: true }))
      const timer = setTimeout(stalled, stallMs)
      return () => clearTimeout(timer)
    }
    try {
      yield* batchesOf(body, waiting)
    } catch (thrown) {
      throw this.#explain(thrown, url, signal)
    }
  }

  /** The whole body, of at most `limitBytes`. */
  async readAll(response: HttpResponse, limitBytes: number, signal: AbortSignal): Promise<Buffer> {
    let content = Buffer.alloc(0)
    let sizeBytes = 0
    for await (const batch of this.read(response, signal)) {
      const before = sizeBytes
      sizeBytes += sizeOf(batch)
      if (sizeBytes > limitBytes) {
        throw new RegistryFailure(
          `${shownUrl(response.url)}: the answer is longer than ${limitBytes} bytes`,
          {
            kind: 'unavailable',
          },
        )
      }
      if (sizeBytes > content.length) content = Buffer.concat([content], Math.max(sizeBytes, 2 * before))
      Buffer.concat(batch).copy(content, before)
    }
    return content.subarray(0, sizeBytes)
  }

  [Symbol.dispose](): void {
    for (const agent of this.#agents.values()) agent.destroy()
  }

  async #sendOrFallBack(request: HttpRequest, signal: AbortSignal): Promise<HttpResponse> {
    const own = request.url.host === this.#endpoint.root.host
    const mayFallBack = own && this.#endpoint.plainHttpFallback
    try {
      if (!mayFallBack) return await this.#exchange(request, signal)
      if (this.#plainHttp) return await this.#exchange(asPlainHttp(request), signal)
      try {
        return await this.#exchange(request, signal)
      } catch (thrown) {
        if (!mayBePlainHttp(thrown, request.url)) throw thrown
      }
      this.#plainHttp = true
      return await this.#exchange(asPlainHttp(request), signal)
    } catch (thrown) {
      throw this.#explain(thrown, request.url, signal)
    }
  }

  #exchange({ method, url, headers, body }: HttpRequest, signal: AbortSignal): Promise<HttpResponse> {
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<HttpResponse>()
    const send = url.protocol === 'https:' ? requestHttps : requestHttp
    const request = send(url, { method, headers, agent: this.#agent(url), signal })
    this.#limitTime(request, url)
    request.on('error', reject)
    request.on('response', (message) => {
      resolve({
        url,
        status: message.statusCode ?? 0,
        headers: message.headers,
        challenges: message.headersDistinct['www-authenticate'] ?? [],
        body: message,
      })
    })
    request.end(body)
    return promise
  }

  #limitTime(request: ClientRequest, url: URL): void {
    const { connectMs, responseMs } = this.#timeouts
    const giveUp = (what: string, afterMs: number) =>
      setTimeout(() => {
        request.destroy(
          new RegistryFailure(`${shownUrl(url)}: ${what} within ${afterMs / 1000} s`, {
            kind: 'unavailable',
            passing: true,
            unreachable: true,
          }),
        )
      }, afterMs)
    let timer = giveUp('no connection', connectMs)
    const connected = () => {
      clearTimeout(timer)
      timer = giveUp('no answer', responseMs)
    }
    request.on('socket', (socket) => {
      if (!socket.connecting) connected()
      else socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', connected)
    })
    request.on('response', () => clearTimeout(timer))
    request.on('close', () => clearTimeout(timer))
  }

  #agent(url: URL): HttpAgent {
    const { proxy } = this.#endpoint
    // As Go has it, which containerd's users expect: HTTPS_PROXY and its like hold for all but this machine.
    const direct = proxy === undefined && isLoopback(url.hostname)
    const key = `${url.protocol}${direct}`
    const known = this.#agents.get(key)
    if (known !== undefined) return known
    const options = {
      keepAlive: true,
      maxSockets: MOST_CONNECTIONS,
      ...(direct ? {} : { proxyEnv: proxyEnvironment(proxy) }),
    }
    const agent = url.protocol === 'https:' ? this.#tlsAgent(options) : new HttpAgent(options)
    this.#agents.set(key, agent)
    return agent
  }

  #tlsAgent(options: object): HttpsAgent {
    const { tls, hostsFile } = this.#endpoint
    return new HttpsAgent({
      ...options,
      secureContext: secureContext(tls, hostsFile),
      rejectUnauthorized: !tls.skipVerify,
    })
  }

  #explain(thrown: unknown, url: URL, signal: AbortSignal): Error {
    if (signal.aborted) return new CriError('cancelled', 'the pull was given up', { cause: signal.reason })
    return connectionFailure(thrown, url, this.#endpoint.hostsFile)
  }
}

const proxyEnvironment = (proxy: string | undefined) =>
  proxy === undefined ? process.env : { HTTP_PROXY: proxy, HTTPS_PROXY: proxy }

const asPlainHttp = (request: HttpRequest): HttpRequest => {
  const url = new URL(request.url)
  url.protocol = 'http:'
  return { ...request, url }
}
