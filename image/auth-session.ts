import type { Challenge } from './auth-challenge.ts'
import { anonymous, areFor, type Credentials, type RequestAuth, readCredentials } from './auth-credentials.ts'
import { secretsOf, secretsOfHeader } from './auth-secrets.ts'
import type { AuthLookup } from './auth-sources.ts'
import { basicHeader, type TokenRequest } from './auth-token.ts'
import type { RegistryEndpoint } from './registry-endpoint.ts'
import { RegistryFailure, shownUrl } from './registry-failure.ts'

/** Where a pull has its credentials from: its request, else what the host keeps. */
export interface PullAuth {
  readonly request: RequestAuth | undefined
  readonly kept: AuthLookup
}

interface Target {
  readonly endpoint: RegistryEndpoint
  readonly registry: string
  readonly auth: PullAuth
  readonly fetchToken: (request: TokenRequest) => Promise<string>
  /** Ends the pull. */
  readonly signal: AbortSignal
}

/** How one pull authorizes itself at one endpoint. Answers a challenge once and goes on with what came of it. */
export class AuthSession {
  readonly #target: Target
  /** The request's, where they are for this endpoint. */
  readonly #given: Credentials
  readonly #withheld: boolean
  #used: { readonly credentials: Credentials; readonly source: string } | undefined
  #header: string | undefined
  #renewal: Promise<string> | undefined

  /** Throws invalid-argument when the request's credentials cannot be read. */
  constructor(target: Target) {
    const { request } = target.auth
    const given = readCredentials(request)
    const allowed = areFor(target.endpoint.root, target.registry, request?.serverAddress ?? '')
    this.#target = target
    this.#given = allowed ? given : anonymous
    this.#withheld = !allowed && given.kind !== 'anonymous'
    if (this.#given.kind === 'registry-token') this.#header = `Bearer ${this.#given.token}`
    if (this.#given.kind !== 'anonymous') this.#used = { credentials: this.#given, source: 'the request' }
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
    const credentials = await this.#credentials()
    if (credentials.kind === 'registry-token') {
      if (refused !== undefined) throw this.#refusal('the registry token was refused')
      return `Bearer ${credentials.token}`
    }
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer')
    if (bearer !== undefined) {
      return `Bearer ${await this.#target.fetchToken(this.#tokenRequest(bearer, credentials))}`
    }
    const basic = challenges.find(({ scheme }) => scheme === 'basic')
    if (basic === undefined) {
      const asked = challenges.map(({ scheme }) => scheme).join(', ') || 'nothing'
      throw this.#refusal(`it asks for authorization by ${asked}: only Basic and Bearer are known`)
    }
    if (credentials.kind !== 'basic') throw this.#refusal('it asks for a user name and password')
    if (refused !== undefined) throw this.#refusal('the user name and password were refused')
    return basicHeader(credentials)
  }

  /** Those that the host keeps are looked for when the endpoint asks for some: a helper may take its time. */
  async #credentials(): Promise<Credentials> {
    const { auth, endpoint, signal } = this.#target
    this.#used ??= (await auth.kept.find(endpoint, signal)) ?? { credentials: anonymous, source: '' }
    return this.#used.credentials
  }

  #tokenRequest({ parameters }: Challenge, credentials: Credentials): TokenRequest {
    const { endpoint } = this.#target
    const realm = URL.parse(parameters.get('realm') ?? '', endpoint.root)
    if (realm === null || !/^https?:$/.test(realm.protocol) || realm.username !== '') {
      throw this.#refusal('the realm of its Bearer challenge is no http or https URL')
    }
    if (credentials.kind !== 'anonymous' && realm.protocol === 'http:' && !this.#mayGoInClear(realm)) {
      throw this.#refusal(
        `its token server ${shownUrl(realm)} is not secured: credentials are not sent there`,
      )
    }
    return {
      realm,
      service: parameters.get('service'),
      scope: parameters.get('scope') ?? `repository:${endpoint.repository}:pull`,
      credentials,
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

  /** What the endpoint, or its token server, was sent that nobody is to read. */
  get secrets(): readonly string[] {
    const header = this.#header === undefined ? [] : secretsOfHeader(this.#header)
    return [...secretsOf(this.#given), ...secretsOf(this.#used?.credentials ?? anonymous), ...header]
  }

  /** With what the endpoint was asked, said beside its refusals. */
  get hint(): string {
    if (this.#used !== undefined && this.#used.source !== '')
      return ` (with the credentials of ${this.#used.source})`
    const { auth, registry } = this.#target
    if (!this.#withheld) return ' (neither the request nor an auth file of this host has credentials for it)'
    const address = (auth.request?.serverAddress || registry).replace(/^(https?:\/\/)?[^/]*@/, '$1')
    return ` (the credentials are for ${address} and are sent to no other host; a mirror's own go into auth.json, or into its header in hosts.toml)`
  }
}
