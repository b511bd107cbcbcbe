import { CriError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import type { RegistryObserver } from './pull-metrics.ts'
import type { RegistryBreaker } from './registry-breaker.ts'
import type { RegistryClient } from './registry-client.ts'
import { RegistryFailure, shownUrl } from './registry-failure.ts'

export interface ChainOptions {
  /** Of the image, for messages. */
  readonly name: string
  /** In the order in which they are asked; the registry itself is the last. */
  readonly clients: readonly RegistryClient[]
  /** Places that may not be asked, and who says so. */
  readonly blocked: readonly string[]
  readonly breaker: RegistryBreaker
  readonly observer?: RegistryObserver | undefined
  readonly log: Log
}

/** The endpoints of one pull, asked in turn until one answers. */
export class RegistryChain implements Disposable {
  readonly #options: ChainOptions
  /** Why each endpoint that does not answer at all is no longer asked. */
  readonly #unreachable = new Map<RegistryClient, RegistryFailure>()

  constructor(options: ChainOptions) {
    this.#options = options
  }

  /**
   * What the first endpoint with the capability answers. One that failed lately is passed over, and asked all the same
   * when no other has it. Throws CriError that names every endpoint and why it failed, of the last one's kind; those
   * in `givenUp` are not asked.
   */
  async fromFirst<Result>(
    step: string,
    capability: 'canPull' | 'canResolve',
    attempt: (client: RegistryClient, isLast: boolean) => Promise<Result>,
    givenUp: ReadonlyMap<object, RegistryFailure> = new Map(),
  ): Promise<Result> {
    const { name, log, observer } = this.#options
    const clients = this.#options.clients.filter(({ endpoint }) => endpoint[capability])
    const failures = new Map<RegistryClient, RegistryFailure>()
    const tryOne = async (client: RegistryClient): Promise<{ result: Result } | undefined> => {
      try {
        return { result: await this.#asked(client, () => attempt(client, client === clients.at(-1))) }
      } catch (thrown) {
        if (!(thrown instanceof RegistryFailure)) throw thrown
        failures.set(client, thrown)
        return undefined
      }
    }
    const passedOver: RegistryClient[] = []
    for (const client of clients.filter((one) => !givenUp.has(one))) {
      const why = this.#skips(client, clients)
      if (why !== undefined) {
        passedOver.push(client)
        observer?.skipped(client.endpoint.root.host)
        log.debug({ image: name, endpoint: shownUrl(client.endpoint.root), why }, `did not ${step} there`)
        continue
      }
      const found = await tryOne(client)
      if (found !== undefined) return found.result
      this.#tell(client, step, failures)
    }
    for (const client of passedOver) {
      const found = await tryOne(client)
      if (found !== undefined) return found.result
      this.#tell(client, step, failures)
    }
    throw this.allFailed(
      step,
      clients.flatMap((client) => failures.get(client) ?? givenUp.get(client) ?? []),
    )
  }

  /** Of the kind of the last: the registry itself is asked last, and knows best. */
  allFailed(step: string, failures: readonly RegistryFailure[]): CriError {
    const { name, clients, blocked } = this.#options
    const last = failures.at(-1)
    const whys = [...failures.map(({ message }) => message), ...blocked]
    if (last !== undefined) return new CriError(last.kind, `pull ${name}: cannot ${step}: ${whys.join('; ')}`)
    if (clients.length === 0)
      return new CriError('failed-precondition', `pull ${name}: ${blocked.join('; ')}`)
    const file = clients.at(-1)?.endpoint.hostsFile ?? ''
    return new CriError(
      'failed-precondition',
      `pull ${name}: cannot ${step}: no endpoint in ${file} has the capability: give one "resolve" and "pull"`,
    )
  }

  [Symbol.dispose](): void {
    for (const client of this.#options.clients) client[Symbol.dispose]()
  }

  #skips(client: RegistryClient, clients: readonly RegistryClient[]): string | undefined {
    const isNeeded = !client.endpoint.isMirror || client === clients.at(-1)
    if (isNeeded || this.#unreachable.has(client)) return undefined
    return this.#options.breaker.skips(client.endpoint)
  }

  async #asked<Result>(client: RegistryClient, attempt: () => Promise<Result>): Promise<Result> {
    const before = this.#unreachable.get(client)
    const { breaker, observer } = this.#options
    if (before !== undefined) {
      observer?.skipped(client.endpoint.root.host)
      throw before
    }
    try {
      const result = await attempt()
      breaker.answered(client.endpoint)
      return result
    } catch (thrown) {
      if (!(thrown instanceof RegistryFailure)) throw thrown
      const failure = client.concealed(thrown)
      if (failure.unreachable) this.#unreachable.set(client, failure)
      if (failure.unreachable || failure.broken) breaker.failed(client.endpoint, failure.message)
      else breaker.answered(client.endpoint)
      throw failure
    }
  }

  #tell(client: RegistryClient, step: string, failures: ReadonlyMap<RegistryClient, RegistryFailure>): void {
    const { name, log } = this.#options
    log.warn(
      { image: name, endpoint: shownUrl(client.endpoint.root), failure: failures.get(client)?.message },
      `cannot ${step} there`,
    )
  }
}
