import { createHash } from 'node:crypto'
import { CriError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import type { PullAuth } from './auth-session.ts'
import type { AuthSources } from './auth-sources.ts'
import type { LayerSlots } from './layer-slots.ts'
import { acceptedManifests, type Descriptor } from './manifest.ts'
import { isDigest, type Reference } from './reference.ts'
import type { Registries } from './registries.ts'
import { readBlob } from './registry-blob.ts'
import type { BlobRequest, Span } from './registry-blob-fetch.ts'
import { BlobParts } from './registry-blob-part.ts'
import type { Batch } from './registry-body.ts'
import type { RegistryBreaker } from './registry-breaker.ts'
import { RegistryChain } from './registry-chain.ts'
import { RegistryClient, type RegistryClientOptions } from './registry-client.ts'
import { RegistryFailure, shownUrl } from './registry-failure.ts'

export interface RegistryOptions extends RegistryClientOptions {
  readonly registries: Registries
  readonly auths: AuthSources
  readonly breaker: RegistryBreaker
  /** Shared with the store: what it leaves idle fetches parts of big layers. Without, one part comes at a time. */
  readonly slots?: LayerSlots | undefined
  /** A pull is given up when no byte came for so long, see PullWatch; 0 or left out: never. */
  readonly progressTimeoutMs?: number
}

export interface FetchedManifest {
  /** '' where the registry does not say. */
  readonly mediaType: string
  readonly content: Buffer
}

const LARGEST_MANIFEST_BYTES = 8 << 20

/**
 * One pull's way to a repository: its endpoints as they are configured now, each asked in turn until one answers.
 * What comes by digest is verified, blobs excepted. Throws CriError that names every endpoint tried and why it failed.
 */
export class RegistrySession implements Disposable {
  readonly #reference: Reference
  readonly #chain: RegistryChain
  readonly #options: RegistryOptions
  /** What was fetched while a tag was looked up. */
  readonly #manifests = new Map<string, FetchedManifest>()

  /** `signal` ends the pull. Throws failed-precondition where the configuration has a mistake. */
  constructor(reference: Reference, auth: PullAuth, options: RegistryOptions, log: Log, signal: AbortSignal) {
    const { endpoints, blocked } = options.registries.routes(reference)
    const clients = endpoints.map(
      (endpoint) => new RegistryClient(endpoint, reference, auth, options, signal),
    )
    this.#reference = reference
    this.#options = options
    const { breaker, observer } = options
    this.#chain = new RegistryChain({ name: this.#name, clients, blocked, breaker, observer, log })
  }

  /** The digest that the reference stands for; that it is there, and may be had, is checked in either case. */
  resolve(signal: AbortSignal): Promise<string> {
    const { digest, tag = '' } = this.#reference
    const capability = digest === undefined ? 'canResolve' : 'canPull'
    return this.#chain.fromFirst('look it up', capability, async (client) => {
      const found = await this.#head(client, digest ?? tag, signal)
      if (found !== undefined && (digest === undefined || found === digest)) return found
      const manifest = await this.#getManifest(client, digest ?? tag, signal)
      const actual = digestOf(manifest.content)
      if (digest !== undefined && actual !== digest) throw this.#mismatch(client, digest, actual)
      this.#manifests.set(actual, manifest)
      return actual
    })
  }

  /** The manifest or index of a digest. */
  async manifest(digest: string, signal: AbortSignal): Promise<FetchedManifest> {
    const known = this.#manifests.get(digest)
    if (known !== undefined) return known
    return this.#chain.fromFirst(`fetch manifest ${digest}`, 'canPull', async (client) => {
      const manifest = await this.#getManifest(client, digest, signal)
      const actual = digestOf(manifest.content)
      if (actual !== digest) throw this.#mismatch(client, digest, actual)
      return manifest
    })
  }

  /**
   * What lies beside images below the repository (`referrers/sha256:…`), unverified; undefined where neither the
   * mirrors nor the registry itself, which is asked last, have it.
   */
  attached(path: string, accept: string, signal: AbortSignal): Promise<Buffer | undefined> {
    return this.#chain.fromFirst(`fetch ${path}`, 'canPull', async (client, isLast) => {
      const response = await client.request('GET', path, { accept }, signal).catch((thrown: unknown) => {
        if (isLast && isMissing(thrown)) return undefined
        throw thrown
      })
      return response && client.readAll(response, LARGEST_MANIFEST_BYTES, signal)
    })
  }

  /** A small blob, whole. */
  config({ digest, sizeBytes }: Descriptor, signal: AbortSignal): Promise<Buffer> {
    if (sizeBytes > LARGEST_MANIFEST_BYTES) {
      throw this.#failure(
        'failed-precondition',
        `its config has ${sizeBytes} bytes, ${LARGEST_MANIFEST_BYTES} at most`,
      )
    }
    return this.#chain.fromFirst(`fetch config ${digest}`, 'canPull', async (client) => {
      const response = await client.request('GET', `blobs/${digest}`, {}, signal)
      const content = await client.readAll(response, LARGEST_MANIFEST_BYTES, signal)
      const actual = digestOf(content)
      if (actual !== digest) throw this.#mismatch(client, digest, actual)
      return content
    })
  }

  /** The bytes of a blob, unverified; where the connection breaks off it goes on, at another endpoint if need be. */
  blob(
    blob: Descriptor,
    signal: AbortSignal,
    onReceived: (receivedBytes: number) => void = () => {},
  ): AsyncGenerator<Batch> {
    const { retries, observer, slots } = this.#options
    let host = ''
    const parts = new Map<RegistryClient, BlobParts>()
    const ask = (client: RegistryClient, span: Span, stop: AbortSignal) => {
      host = client.endpoint.root.host
      const of = parts.get(client) ?? new BlobParts(client, blob)
      parts.set(client, of)
      return of.open(span, stop)
    }
    const open: BlobRequest['open'] = (span, givenUp, stop) => {
      const step = `fetch layer ${blob.digest}`
      return this.#chain.fromFirst(step, 'canPull', (client) => ask(client, span, stop), givenUp)
    }
    return readBlob(
      {
        sizeBytes: blob.sizeBytes,
        open,
        retries: { ...retries, onRetry: () => observer?.retried(host) },
        takeSlot: () => slots?.takeIdle(),
        onReceived,
      },
      signal,
    )
  }

  [Symbol.dispose](): void {
    this.#chain[Symbol.dispose]()
  }

  /** By HEAD, which registries do not count as a pull; undefined where the registry cannot say it so. */
  async #head(client: RegistryClient, name: string, signal: AbortSignal): Promise<string | undefined> {
    try {
      const { headers, body } = await client.request(
        'HEAD',
        `manifests/${name}`,
        { accept: acceptedManifests },
        signal,
      )
      body.resume()
      const digest = headers['docker-content-digest']
      return typeof digest === 'string' && isDigest(digest) ? digest : undefined
    } catch (thrown) {
      if (thrown instanceof RegistryFailure && thrown.unsupported) return undefined
      throw thrown
    }
  }

  async #getManifest(client: RegistryClient, name: string, signal: AbortSignal): Promise<FetchedManifest> {
    const response = await client.request('GET', `manifests/${name}`, { accept: acceptedManifests }, signal)
    const content = await client.readAll(response, LARGEST_MANIFEST_BYTES, signal)
    return { mediaType: response.headers['content-type'] ?? '', content }
  }

  #mismatch(client: RegistryClient, digest: string, actual: string): RegistryFailure {
    return new RegistryFailure(
      `${shownUrl(client.endpoint.root)}: what it gave for ${digest} has the digest ${actual}: it is damaged or forged`,
      { kind: 'unavailable' },
    )
  }

  get #name(): string {
    return this.#reference.canonical ?? this.#reference.tagged ?? this.#reference.name
  }

  #failure(kind: CriError['kind'], why: string): CriError {
    return new CriError(kind, `pull ${this.#name}: ${why}`)
  }
}

const digestOf = (content: Buffer): string => `sha256:${createHash('sha256').update(content).digest('hex')}`

const isMissing = (thrown: unknown): boolean =>
  thrown instanceof RegistryFailure && (thrown.kind === 'not-found' || thrown.unsupported)
