import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import type { Behaviour } from './fake-registry-behaviours.ts'
import { type Ranges, refuse, sendRange } from './fake-registry-ranges.ts'

export interface SeenRequest {
  readonly method: string
  /** Path and query. */
  readonly target: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export type FakeAuth =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | {
      readonly kind: 'bearer'
      /** Decides what a request to the token server gets: a token, or undefined for 401. */
      readonly grant: (request: SeenRequest) => string | undefined
      /** Of the challenge; the registry's own /token by default. */
      readonly realm?: string
    }

export interface FakeImage {
  readonly id: string
  readonly manifestDigest: string
  readonly manifest: Buffer
  readonly layers: readonly { readonly diffId: string; readonly blob: Buffer }[]
}

interface Manifest {
  readonly content: Buffer
  readonly mediaType: string
}

const OCI = 'application/vnd.oci.image'

/** A distribution server in this process, over plain HTTP on 127.0.0.1, that can be told to misbehave. */
export class FakeRegistry implements AsyncDisposable {
  readonly requests: SeenRequest[] = []
  auth: FakeAuth | undefined
  /** False: it sends the whole blob; refused: it answers 416; wrong: it sends another range than it is asked for. */
  ranges: Ranges = true
  /** How many were made to it. */
  connections = 0
  readonly #server: Server
  readonly #blobs = new Map<string, Buffer>()
  readonly #manifests = new Map<string, Manifest>()
  readonly #validTokens = new Set<string>()
  readonly #behaviours: { match: RegExp; behaviour: Behaviour; times: number }[] = []

  private constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response))
    this.#server.on('connection', () => {
      this.connections += 1
    })
  }

  static async start(): Promise<FakeRegistry> {
    const registry = new FakeRegistry()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    registry.#server.once('error', reject).listen(0, '127.0.0.1', resolve)
    await promise
    return registry
  }

  /** `127.0.0.1:PORT` */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** The next `times` requests whose `METHOD /path` matches are not answered but behaved to. */
  misbehave(match: RegExp, behaviour: Behaviour, times = 1): void {
    this.#behaviours.push({ match, behaviour, times })
  }

  /** An image in a repository under a tag. A layer is a text, which is gzipped, or its blob as it is. */
  addImage(
    repository: string,
    tag: string,
    {
      layers = ['layer'],
      os = 'linux',
      architecture = 'amd64',
      user = '',
    }: {
      layers?: readonly (string | Buffer)[]
      os?: string
      architecture?: string
      user?: string
    } = {},
  ): FakeImage {
    const blobs = layers.map((content) => ({
      diffId: digestOf(Buffer.from(content)),
      blob: typeof content === 'string' ? gzipSync(content) : content,
    }))
    const rootfs = { type: 'layers', diff_ids: blobs.map(({ diffId }) => diffId) }
    const config = Buffer.from(JSON.stringify({ os, architecture, config: { User: user }, rootfs }))
    const manifest = {
      schemaVersion: 2,
      mediaType: `${OCI}.manifest.v1+json`,
      config: this.addBlob(config, `${OCI}.config.v1+json`),
      layers: blobs.map(({ blob }) => this.addBlob(blob, `${OCI}.layer.v1.tar+gzip`)),
    }
    const { content, digest } = this.addManifest(repository, tag, manifest)
    return { id: digestOf(config), manifestDigest: digest, manifest: content, layers: blobs }
  }

  addBlob(blob: Buffer, mediaType: string): { mediaType: string; digest: string; size: number } {
    this.#blobs.set(digestOf(blob), blob)
    return { mediaType, digest: digestOf(blob), size: blob.length }
  }

  addManifest(
    repository: string,
    tag: string,
    manifest: object,
    mediaType = 'mediaType' in manifest ? String(manifest.mediaType) : `${OCI}.manifest.v1+json`,
  ): { content: Buffer; digest: string } {
    const content = Buffer.from(JSON.stringify(manifest))
    const digest = digestOf(content)
    this.#manifests.set(`${repository} ${tag}`, { content, mediaType })
    this.#manifests.set(`${repository} ${digest}`, { content, mediaType })
    return { content, digest }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    this.#server.closeAllConnections()
    await promise
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const { method = '', url: target = '', headers } = request
    const seen = { method, target, headers, body: Buffer.concat(chunks).toString() }
    this.requests.push(seen)
    const answer = () => this.#answer(seen, response)
    const odd = this.#behaviours.find(({ match, times }) => times > 0 && match.test(`${method} ${target}`))
    if (odd === undefined) {
      answer()
      return
    }
    odd.times -= 1
    odd.behaviour(response, answer)
  }

  #answer(request: SeenRequest, response: ServerResponse): void {
    const { pathname } = new URL(request.target, 'http://x')
    if (pathname === '/token') {
      this.#grant(request, response)
      return
    }
    if (!this.#isAllowed(request)) {
      this.#challenge(response, pathname)
      return
    }
    const [, repository = '', kind, name = ''] =
      /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(pathname) ?? []
    if (kind === 'manifests') {
      this.#sendManifest(request, response, `${repository} ${name}`)
      return
    }
    this.#sendBlob(request, response, name)
  }

  #sendManifest(request: SeenRequest, response: ServerResponse, key: string): void {
    const manifest = this.#manifests.get(key)
    if (manifest === undefined) {
      refuse(response, 404, 'MANIFEST_UNKNOWN', 'manifest unknown')
      return
    }
    const { content, mediaType } = manifest
    response.writeHead(200, {
      'content-type': mediaType,
      'content-length': content.length,
      'docker-content-digest': digestOf(content),
    })
    response.end(request.method === 'HEAD' ? undefined : content)
  }

  #sendBlob(request: SeenRequest, response: ServerResponse, digest: string): void {
    const blob = this.#blobs.get(digest)
    if (blob === undefined) {
      refuse(response, 404, 'BLOB_UNKNOWN', 'blob unknown')
      return
    }
    sendRange(response, request.headers.range, blob, this.ranges)
  }

  #isAllowed({ headers }: SeenRequest): boolean {
    const [, scheme, value = ''] = /^(\w+) (.*)$/.exec(headers.authorization ?? '') ?? []
    if (this.auth === undefined) return true
    if (this.auth.kind === 'bearer') return scheme === 'Bearer' && this.#validTokens.has(value)
    const { username, password } = this.auth
    return scheme === 'Basic' && value === Buffer.from(`${username}:${password}`).toString('base64')
  }

  /** A token that it takes from now on, without having granted it. */
  accept(token: string): void {
    this.#validTokens.add(token)
  }

  /** As when the tokens' time is over. */
  forgetTokens(): void {
    this.#validTokens.clear()
  }

  #challenge(response: ServerResponse, pathname: string): void {
    const repository = /^\/v2\/(.+)\/(?:manifests|blobs)\//.exec(pathname)?.[1]
    const realm = (this.auth?.kind === 'bearer' && this.auth.realm) || `http://${this.host}/token`
    const challenge =
      this.auth?.kind === 'bearer'
        ? `Bearer realm="${realm}",service="fake",scope="repository:${repository}:pull"`
        : 'Basic realm="fake"'
    response.setHeader('www-authenticate', challenge)
    refuse(response, 401, 'UNAUTHORIZED', 'authentication required')
  }

  #grant(request: SeenRequest, response: ServerResponse): void {
    const token = this.auth?.kind === 'bearer' ? this.auth.grant(request) : undefined
    if (token === undefined) {
      refuse(response, 401, 'DENIED', 'wrong credentials')
      return
    }
    this.#validTokens.add(token)
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ token }))
  }
}

export const digestOf = (bytes: Buffer): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`
