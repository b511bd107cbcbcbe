import { type Credentials, decodeBasic } from './auth-credentials.ts'
import { basicHeader } from './auth-token.ts'

const REDACTED = '[redacted]'
/** What is shorter is found in any text, and no secret. */
const SHORTEST = 4

/** What of credentials is to be read by nobody: passwords, tokens, and the base64 of Basic authorization. */
export function secretsOf(credentials: Credentials): readonly string[] {
  if (credentials.kind === 'anonymous') return []
  if (credentials.kind !== 'basic') return [credentials.token]
  return [credentials.password, ...secretsOfHeader(basicHeader(credentials))]
}

/** The same of an Authorization header's value, or of another that holds a token. */
export function secretsOfHeader(value: string): readonly string[] {
  const token = value.replace(/^\S+\s+/, '')
  const password = /^basic\s/i.test(value) ? decodeBasic(token)?.password : undefined
  return password === undefined ? [token] : [token, password]
}

/** A text of somebody who was sent these secrets, and may repeat them, without them: as they are or as URLs write them. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  const forms = secrets
    .filter(({ length }) => length >= SHORTEST)
    .map((secret) => secret.toWellFormed())
    .flatMap((secret) => [secret, encodeURI(secret), encodeURIComponent(secret)])
    .toSorted((one, other) => other.length - one.length)
  return forms.reduce((shown, form) => shown.replaceAll(form, REDACTED), text)
}
