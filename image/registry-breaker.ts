import type { Clock } from '#runtime/ports.ts'
import type { RegistryEndpoint } from './registry-endpoint.ts'
import { tlsKey } from './registry-tls.ts'

const FIRST_PAUSE_MS = 30_000
const LONGEST_PAUSE_MS = 300_000
/** So long others wait for what the one that asks again finds. */
const PROBE_MS = 60_000
const MOST_KEPT = 256

interface Broken {
  readonly why: string
  readonly failures: number
  readonly sinceMs: number
  readonly untilMs: number
  /** Somebody asks it again, and may take until then. */
  readonly isProbed: boolean
}

/** What is known of an endpoint that failed lately. Times are milliseconds of the clock. */
export interface BreakerState {
  /** `open`: it is passed over until `retryMs`; `half-open`: the next pull asks it again. */
  readonly state: 'open' | 'half-open'
  readonly why: string
  readonly failures: number
  readonly sinceMs: number
  readonly retryMs: number
}

/**
 * A circuit breaker across pulls: an endpoint that fails is passed over for half a minute, doubled with each failure
 * up to five; then one pull asks it again while the others go on without. In memory, of a bounded number of endpoints.
 */
export class RegistryBreaker {
  readonly #clock: Clock
  readonly #broken = new Map<string, Broken>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Why the endpoint is to be passed over now; undefined: ask it, and tell what came of it. */
  skips(endpoint: RegistryEndpoint): string | undefined {
    const key = keyOf(endpoint)
    const broken = this.#broken.get(key)
    if (broken === undefined) return undefined
    const nowMs = this.#nowMs()
    if (nowMs >= broken.untilMs) {
      this.#broken.set(key, { ...broken, untilMs: nowMs + PROBE_MS, isProbed: true })
      return undefined
    }
    const [ago, left] = [nowMs - broken.sinceMs, broken.untilMs - nowMs].map((ms) => Math.ceil(ms / 1000))
    return `passed over: it failed ${ago} s ago (${broken.why}) and is asked again in ${left} s`
  }

  answered(endpoint: RegistryEndpoint): void {
    this.#broken.delete(keyOf(endpoint))
  }

  failed(endpoint: RegistryEndpoint, why: string): void {
    const key = keyOf(endpoint)
    const nowMs = this.#nowMs()
    const before = this.#broken.get(key)
    // Of requests that were under way together one counts.
    if (before !== undefined && !before.isProbed && nowMs < before.untilMs) return
    const failures = (before?.failures ?? 0) + 1
    this.#broken.delete(key)
    const oldest = this.#broken.size >= MOST_KEPT ? this.#broken.keys().next().value : undefined
    if (oldest !== undefined) this.#broken.delete(oldest)
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS)
    this.#broken.set(key, { why, failures, sinceMs: nowMs, untilMs: nowMs + pauseMs, isProbed: false })
  }

  /** Undefined for an endpoint that did not fail. */
  state(endpoint: RegistryEndpoint): BreakerState | undefined {
    const broken = this.#broken.get(keyOf(endpoint))
    if (broken === undefined) return undefined
    const { why, failures, sinceMs, untilMs } = broken
    const state = this.#nowMs() >= untilMs ? 'half-open' : 'open'
    return { state, why, failures, sinceMs, retryMs: untilMs }
  }

  #nowMs(): number {
    return Number(BigInt(this.#clock.nowNs()) / 1_000_000n)
  }
}

/** With its TLS settings: whoever has put the right authority there does not want to wait. */
const keyOf = ({ root, tls }: RegistryEndpoint): string => `${root.origin} ${tlsKey(tls)}`
