import { z } from 'zod'
import type { Credentials } from './auth-credentials.ts'
import { foreignJson } from './foreign-json.ts'
import type { HttpRequest } from './registry-http.ts'

/** What a Bearer challenge asks the token server for (distribution, Token Authentication Specification). */
export interface TokenRequest {
  readonly realm: URL
  readonly service: string | undefined
  readonly scope: string
  readonly credentials: Credentials
}

/** By GET, with Basic authorization where there is a user; an identity token is exchanged by POST (OAuth2). */
export function tokenHttpRequest({ realm, service, scope, credentials }: TokenRequest): HttpRequest {
  const url = new URL(realm)
  if (credentials.kind === 'identity-token') {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: 'cri-ts',
      service: service ?? '',
      scope,
      refresh_token: credentials.token,
    })
    const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' }
    return { method: 'POST', url, headers, body: form.toString() }
  }
  if (service !== undefined) url.searchParams.set('service', service)
  url.searchParams.set('scope', scope)
  const headers = { accept: 'application/json' }
  if (credentials.kind !== 'basic') return { method: 'GET', url, headers }
  return { method: 'GET', url, headers: { ...headers, authorization: basicHeader(credentials) } }
}

/** The access token of a token server's answer; undefined where there is none. */
export function readToken(body: Buffer): string | undefined {
  const parsed = tokenSchema.safeParse(foreignJson(body))
  // The header is built from it: a line break must not come through.
  const token = parsed.success ? parsed.data.token || parsed.data.access_token : undefined
  return token !== undefined && /^[\x21-\x7e]+$/.test(token) ? token : undefined
}

export function basicHeader({ username, password }: Extract<Credentials, { kind: 'basic' }>): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

const tokenSchema = z.object({ token: z.string().optional(), access_token: z.string().optional() })
