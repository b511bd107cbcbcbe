/** Field names whose values are secrets, without case, `_` and `-`: those of the CRI's AuthConfig, of HTTP and of token answers. */
const SECRET_NAMES = new Set([
  'password',
  'auth',
  'authorization',
  'proxyauthorization',
  'identitytoken',
  'registrytoken',
  'token',
  'accesstoken',
  'refreshtoken',
])
const REDACTED = '[redacted]'

/** A line without any of these holds no secret; most lines pass here. */
const SUSPECT = /auth|password|token|:\/\/[^/\s"]*@|basic\s|bearer\s/i

const IN_TEXT: readonly (readonly [pattern: RegExp, replacement: string])[] = [
  // https://user:password@host
  [/:\/\/[^/\s"'@]*@/g, `://${REDACTED}@`],
  // Authorization: Basic dXNlcjpwYXNz. Words in lower case are prose ("Basic authentication").
  [/\b([Bb]asic|[Bb]earer|BASIC|BEARER)\s+(?=[^\s"',]*[A-Z0-9=+/])[^\s"',]+/g, `$1 ${REDACTED}`],
  // JSON in a message, and query strings: "password":"x", identity_token=x
  [
    /((?:password|auth(?:orization)?|token)\\*"?\s*(?::\s*\\*"|=\s*\\*"?))(?:[^"\\\s&,}]|\\[^"])+/gi,
    `$1${REDACTED}`,
  ],
]

/** A line of the log (JSON) without secrets, at whatever depth they stand. */
export function withoutSecrets(line: string): string {
  if (!SUSPECT.test(line)) return line
  try {
    return `${JSON.stringify(JSON.parse(line), redacted)}\n`
  } catch {
    return `${JSON.stringify({ level: 'error', msg: 'a log line that is not JSON was dropped' })}\n`
  }
}

function redacted(name: string, value: unknown): unknown {
  if (SECRET_NAMES.has(name.toLowerCase().replaceAll(/[_-]/g, ''))) return isEmpty(value) ? value : REDACTED
  if (typeof value !== 'string') return value
  return IN_TEXT.reduce((text, [pattern, replacement]) => text.replaceAll(pattern, replacement), value)
}

/** That no secret was given is worth reading. */
const isEmpty = (value: unknown): boolean => value === '' || value === null || value === false
