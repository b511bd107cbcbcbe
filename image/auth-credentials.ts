import { invalidArgument } from '#lib/errors.ts'
import { servesRegistry } from './registry-endpoint.ts'

/** CRI's AuthConfig; '' is "not given". */
export interface RequestAuth {
  readonly username: string
  readonly password: string
  /** base64 of `username:password` */
  readonly auth: string
  /** The registry that these are for, as a host or a URL; '' is the reference's. */
  readonly serverAddress: string
  /** A refresh token, to be exchanged at the registry's token server. */
  readonly identityToken: string
  /** An access token, sent as it is. */
  readonly registryToken: string
}

export type Credentials =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'identity-token'; readonly token: string }
  | { readonly kind: 'registry-token'; readonly token: string }

export const anonymous: Credentials = { kind: 'anonymous' }

/**
 * What the request gives. A registry token comes first, then as containerd: user name, identity token, auth.
 * Throws invalid-argument where `auth` cannot be read, without showing it.
 */
export function readCredentials(auth: RequestAuth | undefined): Credentials {
  if (auth === undefined) return anonymous
  if (auth.registryToken !== '') return { kind: 'registry-token', token: auth.registryToken }
  if (auth.username !== '') return { kind: 'basic', username: auth.username, password: auth.password }
  if (auth.identityToken !== '') return { kind: 'identity-token', token: auth.identityToken }
  if (auth.auth !== '') {
    const decoded = decodeBasic(auth.auth)
    if (decoded !== undefined) return decoded
    throw invalidArgument('the credentials\' field auth is not the base64 of "username:password"')
  }
  if (auth.password !== '') throw invalidArgument('the credentials have a password, but no user name')
  return anonymous
}

/**
 * Whether credentials may be sent to an endpoint: to the one host they are for and to no other, so never to a mirror
 * unless `serverAddress` names it. (containerd sends those without a serverAddress to any mirror that asks.)
 */
export function areFor(endpoint: URL, registry: string, serverAddress: string): boolean {
  return servesRegistry(endpoint, serverAddress === '' ? registry : hostOfAddress(serverAddress))
}

/** `https://index.docker.io/v1/`, `host:5000/path` or `host`: the host and port. */
const hostOfAddress = (address: string): string => address.replace(/^https?:\/\//i, '').replace(/\/.*$/s, '')

/** The base64 of `username:password`; undefined for anything else. */
export function decodeBasic(encoded: string): Extract<Credentials, { kind: 'basic' }> | undefined {
  // Docker pads the decoded text with NUL.
  const decoded = Buffer.from(encoded, 'base64').toString('utf8').replace(/\0+$/, '')
  const colon = decoded.indexOf(':')
  if (colon === -1 || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(encoded.trim())) return undefined
  return { kind: 'basic', username: decoded.slice(0, colon), password: decoded.slice(colon + 1) }
}
