import type { BlobPart, Span } from './registry-blob-fetch.ts'
import type { RegistryClient } from './registry-client.ts'
import { RegistryFailure } from './registry-failure.ts'
import type { HttpResponse } from './registry-http.ts'

/** Asks one endpoint for parts of one blob. */
export class BlobParts {
  readonly #client: RegistryClient
  readonly #digest: string
  readonly #sizeBytes: number
  #refusesRanges = false
  /** Where the endpoint redirected to: asked directly for the parts that follow. */
  #location: URL | undefined

  constructor(client: RegistryClient, { digest, sizeBytes }: { digest: string; sizeBytes: number }) {
    this.#client = client
    this.#digest = digest
    this.#sizeBytes = sizeBytes
  }

  /** Where a server has no ranges, refuses them or answers with another, it is asked for the whole blob. */
  async open({ from, to }: Span, signal: AbortSignal): Promise<BlobPart> {
    const isWhole = from === 0 && to === this.#sizeBytes
    const ranged = isWhole || this.#refusesRanges ? undefined : await this.#range({ from, to }, signal)
    const response = ranged ?? (await this.#client.request('GET', this.#path, {}, signal))
    const isRange = response.status === 206
    return {
      source: this.#client,
      url: response.url,
      offset: isRange ? from : 0,
      isRange,
      bytes: this.#client.read(response, signal),
    }
  }

  async #range({ from, to }: Span, signal: AbortSignal): Promise<HttpResponse | undefined> {
    const range = { range: `bytes=${from}-${to === this.#sizeBytes ? '' : to - 1}` }
    try {
      const response = await this.#request(range, signal)
      if (response.status === 200 || beginsAt(response, from)) return response
      response.body.destroy()
    } catch (thrown) {
      if (!(thrown instanceof RegistryFailure && thrown.unsupported)) throw thrown
    }
    this.#refusesRanges = true
    return undefined
  }

  async #request(range: { range: string }, signal: AbortSignal): Promise<HttpResponse> {
    const known = this.#location
    const direct = known && (await this.#client.requestOnce(known, range, signal))
    if (direct !== undefined) return direct
    this.#location = undefined
    const response = await this.#client.request('GET', this.#path, range, signal)
    this.#location = this.#client.isElsewhere(response.url) ? response.url : undefined
    return response
  }

  get #path(): string {
    return `blobs/${this.#digest}`
  }
}

const beginsAt = ({ headers }: HttpResponse, from: number): boolean =>
  Number(/^bytes (\d+)-/.exec(headers['content-range'] ?? '')?.[1] ?? -1) === from
