import { randomUUID, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { TestCertificates } from './registry-certificates.ts'

export const TOKEN_ISSUER = 'cri-ts test tokens'
export const TOKEN_SERVICE = 'cri-ts test registry'

/** A token server (distribution, Token Authentication Specification) with one user, who has one refresh token. */
export interface TokenServer extends AsyncDisposable {
  readonly realm: string
  /** `METHOD kind-of-credentials scope` of every request. */
  readonly requests: readonly string[]
  /** A token without a request. */
  issue(scope: string): string
}

export interface TokenUser {
  readonly username: string
  readonly password: string
  readonly refreshToken: string
}

/** Over TLS by the server's certificate; tokens are signed with its key, which the authority's certificate vouches for. */
export async function startTokenServer(
  { server: pair }: TestCertificates,
  user: TokenUser,
): Promise<TokenServer> {
  const [cert, key] = [readFileSync(pair.certFile, 'utf8'), readFileSync(pair.keyFile, 'utf8')]
  const requests: string[] = []
  const server = createServer({ cert, key }, (request, response) => {
    void askedOf(request).then(({ isUser, kind, scope }) => {
      requests.push(`${request.method} ${kind} ${scope}`)
      response.writeHead(isUser ? 200 : 401, { 'content-type': 'application/json' })
      response.end(JSON.stringify(isUser ? { token: tokenFor(scope, cert, key) } : { details: 'wrong' }))
    })
  })
  const { promise, resolve } = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', resolve)
  await promise

  async function askedOf(request: IncomingMessage) {
    const basic = Buffer.from(`${user.username}:${user.password}`).toString('base64')
    const { authorization } = request.headers
    if (request.method === 'POST') {
      const form = new URLSearchParams(await text(request))
      const isUser = form.get('refresh_token') === user.refreshToken
      return { isUser, kind: 'refresh', scope: form.get('scope') ?? '' }
    }
    const { searchParams } = new URL(request.url ?? '', 'https://x')
    const kind = authorization === undefined ? 'anonymous' : 'basic'
    return { isUser: authorization === `Basic ${basic}`, kind, scope: searchParams.get('scope') ?? '' }
  }

  return {
    realm: `https://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
    requests,
    issue: (scope) => tokenFor(scope, cert, key),
    async [Symbol.asyncDispose]() {
      const closed = new Promise((done) => server.close(done))
      server.closeAllConnections()
      await closed
    },
  }
}

/** A JSON Web Token (ES256) that allows the scope, with the certificate of its key. */
function tokenFor(scope: string, cert: string, key: string): string {
  const [type = '', name = '', actions = ''] = scope.split(':')
  const now = Math.floor(Date.now() / 1000)
  const x5c = [cert.replace(/-----[A-Z ]+-----|\s/g, '')]
  const claims = {
    ...{ iss: TOKEN_ISSUER, sub: 'u', aud: TOKEN_SERVICE, jti: randomUUID() },
    ...{ nbf: now - 10, iat: now, exp: now + 300 },
    access: [{ type, name, actions: actions.split(',') }],
  }
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const signed = `${encode({ typ: 'JWT', alg: 'ES256', x5c })}.${encode(claims)}`
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' })
  return `${signed}.${signature.toString('base64url')}`
}
