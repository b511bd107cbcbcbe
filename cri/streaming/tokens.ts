import { randomBytes } from 'node:crypto'
import { CriError } from '#lib/errors.ts'

const TOKEN_BYTES = 16
const LIFETIME_MS = 60_000
const LIMIT = 1000

/** What was asked for over the CRI, until its client connects: each token is good once, for a minute. */
export class Tokens<Request> {
  readonly #nowMs: () => number
  /** In the order in which they expire. */
  readonly #requests = new Map<string, { readonly request: Request; readonly expiresAtMs: number }>()

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs
  }

  /** Throws resource-exhausted while too many wait for their clients. */
  add(request: Request): string {
    this.#dropExpired()
    if (this.#requests.size >= LIMIT) {
      throw new CriError(
        'resource-exhausted',
        `${LIMIT} streaming URLs wait for their clients: connect to them, or ask again in a minute`,
      )
    }
    const token = randomBytes(TOKEN_BYTES).toString('base64url')
    this.#requests.set(token, { request, expiresAtMs: this.#nowMs() + LIFETIME_MS })
    return token
  }

  /** Undefined for a token that was never given, was used or has expired. */
  take(token: string): Request | undefined {
    this.#dropExpired()
    const found = this.#requests.get(token)
    this.#requests.delete(token)
    return found?.request
  }

  #dropExpired(): void {
    for (const [token, { expiresAtMs }] of this.#requests) {
      if (expiresAtMs > this.#nowMs()) return
      this.#requests.delete(token)
    }
  }
}
