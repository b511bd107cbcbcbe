import type { Challenge } from './auth-challenge.ts'
import { anonymous, areFor, type Credentials, type RequestAuth, readCredentials } from './auth-credentials.ts'
import { basicHeader, type TokenRequest } from './auth-token.ts'
import type { RegistryEndpoint } from './registry-endpoint.ts'
import { RegistryFailure, shownUrl } from './registry-failure.ts'

interface Target {
  readonly endpoint: RegistryEndpoint
  readonly registry: string
  readonly auth: RequestAuth | undefined
  readonly fetchToken: (request: TokenRequest) => Promise<string>
}

/** How one pull authorizes itself at one endpoint. Answers a challenge once and goes on with what came of it. */
export class AuthSession {
  readonly #target: Target
  readonly #credentials: Credentials
  readonly #withheld: boolean
  #header: string | undefined
  #renewal: Promise<string> | undefined

  /** Throws invalid-argument when the request's credentials cannot be read. */
  constructor(target: Target) {
    const given = readCredentials(target.auth)
    const allowed = areFor(target.endpoint.root, target.registry, target.auth?.serverAddress ?? '')
    this.#target = target
    this.#credentials = allowed ? given : anonymous
    this.#withheld = !allowed && given.kind !== 'anonymous'
    if (this.#credentials.kind === 'registry-token') this.#header = `Bearer ${this.#credentials.token}`
  }

  /** The Authorization header; undefined as long as nobody asked for one. */
  get header(): string | undefined {
    return this.#header
  }

  /**
   * The header that answers the challenges of a 401, got with the header `refused`. Requests that are refused
   * together share one answer. Throws RegistryFailure, unauthenticated, where there is nothing to answer with.
   */
  async answer(challenges: readonly Challenge[], refused: string | undefined): Promise<string> {
    if (this.#header !== undefined && this.#header !== refused) return this.#header
    this.#renewal ??= this.#renew(challenges, refused).finally(() => {
      this.#renewal = undefined
    })
    this.#header = await this.#renewal
    return this.#header
  }

  async #renew(challenges: readonly Challenge[], refused: string | undefined): Promise<string> {
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer')
    if (this.#credentials.kind === 'registry-token') throw this.#refusal('the registry token was refused')
    if (bearer !== undefined) return `Bearer ${await this.#target.fetchToken(this.#tokenRequest(bearer))}`
    const basic = challenges.find(({ scheme }) => scheme === 'basic')
    if (basic === undefined) {
      const asked = challenges.map(({ scheme }) => scheme).join(', ') || 'nothing'
      throw this.#refusal(`it asks for authorization by ${asked}: only Basic and Bearer are known`)
    }
    if (this.#credentials.kind !== 'basic') throw this.#refusal('it asks for a user name and password')
    if (refused !== undefined) throw this.#refusal('the user name and password were refused')
    return basicHeader(this.#credentials)
  }

  #tokenRequest({ parameters }: Challenge): TokenRequest {
    const { endpoint } = this.#target
    const realm = URL.parse(parameters.get('realm') ?? '', endpoint.root)
    if (realm === null || !/^https?:$/.test(realm.protocol) || realm.username !== '') {
      throw this.#refusal('the realm of its Bearer challenge is no http or https URL')
    }
    if (this.#credentials.kind !== 'anonymous' && realm.protocol === 'http:' && !this.#mayGoInClear(realm)) {
      throw this.#refusal(
        `its token server ${shownUrl(realm)} is not secured: credentials are not sent there`,
      )
    }
    return {
      realm,
      service: parameters.get('service'),
      scope: parameters.get('scope') ?? `repository:${endpoint.repository}:pull`,
      credentials: this.#credentials,
    }
  }

  /** Where the registry itself is spoken to in clear, by the administrator's choice. */
  #mayGoInClear(realm: URL): boolean {
    const { root, plainHttpFallback } = this.#target.endpoint
    return root.protocol === 'http:' || (plainHttpFallback && realm.hostname === root.hostname)
  }

  #refusal(why: string): RegistryFailure {
    return new RegistryFailure(`${shownUrl(this.#target.endpoint.root)}: ${why}${this.hint}`, {
      kind: 'unauthenticated',
    })
  }

  /** With what the endpoint was asked, said beside its refusals. */
  get hint(): string {
    const { auth, registry } = this.#target
    if (this.#withheld) {
      const address = (auth?.serverAddress || registry).replace(/^(https?:\/\/)?[^/]*@/, '$1')
      return ` (the credentials are for ${address} and are sent to no other host; a mirror's own go into its header in hosts.toml)`
    }
    return this.#credentials.kind === 'anonymous'
      ? ' (the request has no credentials for it)'
      : ' (with the credentials of the request)'
  }
}
