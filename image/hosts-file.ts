import { validateHeaderName, validateHeaderValue } from 'node:http'
import { z } from 'zod'
import { CriError } from '#lib/errors.ts'
import { type KeyPath, keyLines } from '#lib/key-lines.ts'
import { nearestName } from '#lib/names.ts'
import { hostOfRegistry } from './registry-endpoint.ts'
import { parseToml } from './registry-toml.ts'

/** One endpoint as hosts.toml has it; paths are as written. */
export interface HostEntry {
  /** The root of the API; undefined for the registry's own. */
  readonly root: URL | undefined
  readonly canPull: boolean
  readonly canResolve: boolean
  readonly caFiles: readonly string[]
  /** [certificate, key]; the key is '' where it stands in the same file. */
  readonly clientFiles: readonly (readonly [string, string])[]
  readonly skipVerify: boolean | undefined
  readonly headers: { readonly [name: string]: readonly string[] }
  readonly dialTimeoutMs: number | undefined
  /** A URL, with a user and password perhaps. */
  readonly proxy: string | undefined
  /** `FILE:LINE host."URL"` */
  readonly source: string
}

/**
 * Reads a hosts.toml (containerd, docs/hosts.md): the hosts in their order, then the `server`.
 * Throws failed-precondition naming the file, the line and the key; header values, which may be secret, are never shown.
 */
export function parseHostsFile(text: string, file: string): readonly HostEntry[] {
  const table = parseToml(text, file)
  const lineOf = keyLines(text)
  const at = (path: KeyPath): string => `${file}:${lineOf(path) ?? 1}`
  const parsed = fileSchema.safeParse(table)
  if (!parsed.success) {
    const { issues } = parsed.error
    throw wrong(issues.map((issue) => `${at(placeOf(issue))}: ${describeIssue(issue)}`).join('; '))
  }
  const { server, host, ...own } = parsed.data
  const entries = Object.entries(host).map(([url, entry]) =>
    toEntry(at(['host', url]), `host."${url}"`, url, entry),
  )
  const where = server === undefined ? at(['header']) : at(['server'])
  const last = toEntry(where, 'server', server, own)
  return [...entries, server === undefined ? { ...last, source: file } : last]
}

const paths = z.union([z.string().transform((path) => [path]), z.array(z.string())], {
  error: 'must be a path or a list of paths',
})
const clientPair = z.union([
  z.string().transform((path): [string, string] => [path, '']),
  z.tuple([z.string(), z.string()]),
])
const entryShape = {
  capabilities: z
    .array(
      z
        .string()
        .toLowerCase()
        .pipe(z.enum(['pull', 'resolve', 'push'])),
    )
    .default([])
    .transform((named) => (named.length === 0 ? ['pull', 'resolve', 'push'] : named)),
  ca: paths.default([]),
  client: z
    .union([z.string().transform((path): [string, string][] => [[path, '']]), z.array(clientPair)], {
      error: 'must be a path, a list of paths, or a list of [certificate, key] pairs',
    })
    .default([]),
  skip_verify: z.boolean().optional(),
  header: z
    .record(
      z.string(),
      z.union([z.string().transform((value) => [value]), z.array(z.string())], {
        error: 'must be a string or a list of strings',
      }),
    )
    .default({}),
  override_path: z.boolean().default(false),
  dial_timeout: z
    .string()
    .regex(/^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/, 'must be a duration such as "500ms", "10s" or "1m30s"')
    .transform(durationMs)
    .optional(),
  proxy: z.string().refine(isProxy, 'must be the URL of an http or https proxy, without a path').optional(),
}
const entrySchema = z.strictObject(entryShape)
const fileSchema = z.strictObject({
  ...entryShape,
  server: z.string().optional(),
  host: z.record(z.string(), entrySchema).default({}),
})
type Entry = z.infer<typeof entrySchema>

/** `where` is the file and the line. */
function toEntry(where: string, key: string, url: string | undefined, entry: Entry): HostEntry {
  checkHeaders(where, key, entry)
  return {
    source: `${where} ${key}`,
    root: url === undefined ? undefined : apiRoot(where, key, url, entry.override_path),
    canPull: entry.capabilities.includes('pull'),
    canResolve: entry.capabilities.includes('resolve'),
    caFiles: entry.ca,
    clientFiles: entry.client,
    skipVerify: entry.skip_verify,
    headers: entry.header,
    dialTimeoutMs: entry.dial_timeout,
    proxy: entry.proxy,
  }
}

/** `host`, `http://host` or `https://host/path`; `/v2` is added unless it stands there or is overridden. */
function apiRoot(where: string, key: string, text: string, overridePath: boolean): URL {
  const root = URL.parse(/^[a-z]+:\/\//i.test(text) ? text : `https://${text}`)
  if (root === null || !/^https?:$/.test(root.protocol)) {
    throw wrong(`${where}: ${key} is no http or https URL: write it as "https://host[:port][/path]"`)
  }
  if (root.username !== '' || root.password !== '') {
    throw wrong(`${where}: ${key.split('"')[0]} has a user in its URL: give an Authorization header instead`)
  }
  root.hostname = hostOfRegistry(root.hostname)
  const path = root.pathname.replace(/\/+/g, '/').replace(/\/$/, '')
  root.pathname = overridePath || path.endsWith('/v2') ? path : `${path}/v2`
  root.search = ''
  root.hash = ''
  return root
}

function checkHeaders(where: string, key: string, { header }: Entry): void {
  for (const [name, values] of Object.entries(header)) {
    try {
      validateHeaderName(name)
      for (const value of values) validateHeaderValue(name, value)
    } catch {
      throw wrong(`${where}: ${key}: header "${name}" has characters that no HTTP header may have`)
    }
  }
}

/** Of those that containerd knows, which are SOCKS proxies as well. */
function isProxy(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) && `${url.pathname}${url.search}${url.hash}` === '/'
}

function durationMs(text: string): number {
  const unitMs: { readonly [unit: string]: number } = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
  let total = 0
  for (const [, amount, unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) {
    total += Number(amount) * (unitMs[unit] ?? 0)
  }
  return total
}

/** Of an unknown key, that key; of all else, where it stands. */
const placeOf = (issue: z.core.$ZodIssue): KeyPath =>
  issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0] ?? ''] : issue.path

function describeIssue(issue: z.core.$ZodIssue): string {
  const key = issue.path.map((part, depth) =>
    issue.path[0] === 'host' && depth === 1 ? `"${withoutUser(String(part))}"` : part,
  )
  const where = key.length === 0 ? '' : `${key.join('.')}: `
  if (issue.code !== 'unrecognized_keys') return `${where}${issue.message}`
  return `${where}${issue.keys.map(describeUnknownKey).join(', ')}`
}

/** A user of a URL that is refused for it may come with a password. */
const withoutUser = (url: string): string => url.replace(/\/\/[^/]*@/, '//')

function describeUnknownKey(key: string): string {
  const near = nearestName(key, Object.keys(fileSchema.shape))
  return near === undefined ? `${key} is not a key of hosts.toml` : `${key} is not a key: is ${near} meant?`
}

const wrong = (why: string) => new CriError('failed-precondition', why)
