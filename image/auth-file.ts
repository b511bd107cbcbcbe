import { z } from 'zod'
import { CriError } from '#lib/errors.ts'
import { type Credentials, decodeBasic } from './auth-credentials.ts'
import type { RegistryEndpoint } from './registry-endpoint.ts'

/** A file of containers-auth.json(5), or Docker's config.json. Its keys are registries: `host[:port]`, with a path perhaps. */
export interface AuthFile {
  readonly auths: ReadonlyMap<string, Credentials>
  /** Names of credential helpers, and the key as it was written: helpers are asked by it. */
  readonly helpers: ReadonlyMap<string, { readonly name: string; readonly server: string }>
  /** The helper that has all others; '' for none. */
  readonly store: string
}

/** Where credentials are looked for: `host[:port]`, and the repository's path there. */
export interface AuthPlace {
  readonly host: string
  readonly path: string
}

/** Throws failed-precondition that names the file and what is wrong with it, but shows nothing that is secret. */
export function parseAuthFile(text: string, file: string): AuthFile {
  const wrong = (why: string) => new CriError('failed-precondition', `${file}${why}`)
  if (text.trim() === '') return { auths: new Map(), helpers: new Map(), store: '' }
  const parsed = fileSchema.safeParse(parseJson(text, wrong))
  if (!parsed.success) {
    throw wrong(
      `: ${parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')}`,
    )
  }
  const { auths, credHelpers, credsStore } = parsed.data
  const entries = Object.entries(auths).flatMap(([key, entry]) => {
    const credentials = credentialsOf(entry, () =>
      wrong(`: auths."${key}".auth is not the base64 of "username:password"`),
    )
    return credentials === undefined ? [] : [[normalKey(key), credentials] as const]
  })
  return {
    auths: new Map(entries),
    helpers: new Map(
      Object.entries(credHelpers).map(([server, name]) => [hostOf(normalKey(server)), { name, server }]),
    ),
    store: credsStore,
  }
}

/** The key of the credentials that are nearest to a place: of its repository, of a path above it, or of its host. */
export function nearestKey({ auths }: AuthFile, { host, path }: AuthPlace): string | undefined {
  const parts = path.split('/')
  for (let length = parts.length; length > 0; length -= 1) {
    const key = `${host}/${parts.slice(0, length).join('/')}`
    if (auths.has(key)) return key
  }
  return auths.has(host) ? host : undefined
}

/** By the endpoint's own name, whosever mirror it is; below `/v2/` a path of its own is of the repository. */
export function authPlace({ root, repository }: RegistryEndpoint): AuthPlace {
  const above = /\/v2\/(.+)$/.exec(root.pathname)?.[1]
  return { host: normalHost(root.host), path: above === undefined ? repository : `${above}/${repository}` }
}

/** A helper is a program in PATH: its name may not lead elsewhere. */
const helperName = z
  .string()
  .regex(/^[A-Za-z0-9._-]+$/, 'must be the name of a credential helper, what follows docker-credential-')
const entrySchema = z.object({
  auth: z.string().default(''),
  username: z.string().default(''),
  password: z.string().default(''),
  identitytoken: z.string().default(''),
  registrytoken: z.string().default(''),
})
const fileSchema = z.object({
  auths: z.record(z.string(), entrySchema).default({}),
  credHelpers: z.record(z.string(), helperName).default({}),
  credsStore: z.union([z.literal(''), helperName]).default(''),
})

function parseJson(text: string, wrong: (why: string) => CriError): unknown {
  try {
    return JSON.parse(text)
  } catch (thrown) {
    // The message quotes the text.
    const position = /position (\d+)/.exec(String(thrown))?.[1]
    const line = position === undefined ? '' : `:${text.slice(0, Number(position)).split('\n').length}`
    throw wrong(`${line}: it is not JSON`)
  }
}

function credentialsOf(entry: z.infer<typeof entrySchema>, wrong: () => CriError): Credentials | undefined {
  const { auth, username, password, identitytoken, registrytoken } = entry
  if (registrytoken !== '') return { kind: 'registry-token', token: registrytoken }
  if (identitytoken !== '') return { kind: 'identity-token', token: identitytoken }
  if (username !== '') return { kind: 'basic', username, password }
  if (auth === '') return undefined
  const decoded = decodeBasic(auth)
  if (decoded === undefined) throw wrong()
  return decoded
}

/** As docker login and podman login write them: `https://index.docker.io/v1/` is docker.io. */
function normalKey(key: string): string {
  const isUrl = /^https?:\/\//i.test(key)
  const text = key.replace(/^https?:\/\//i, '').replace(/\/+$/, '')
  const [host = '', ...path] = text.split('/')
  const isOfApi = isUrl || (path.length === 1 && /^v[12]$/.test(path[0] ?? ''))
  return [normalHost(host), ...(isOfApi ? [] : path)].join('/')
}

function normalHost(host: string): string {
  const bare = host.replace(/:443$/, '')
  return bare === 'index.docker.io' || bare === 'registry-1.docker.io' ? 'docker.io' : bare
}

const hostOf = (key: string): string => key.split('/')[0] ?? key
