import { z } from 'zod'
import { CriError } from '#lib/errors.ts'
import { type KeyPath, keyLines } from '#lib/key-lines.ts'
import { nearestName } from '#lib/names.ts'
import { shortName } from './reference.ts'
import { parseToml } from './registry-toml.ts'

/** One file of containers-registries.conf(5), version 2. What it does not set is undefined or empty. */
export interface RegistriesFile {
  readonly searchRegistries: readonly string[] | undefined
  readonly credentialHelpers: readonly string[] | undefined
  readonly shortNameMode: 'enforcing' | 'permissive' | 'disabled' | undefined
  readonly aliases: ReadonlyMap<string, Alias>
  readonly registries: readonly RegistryTable[]
}

export interface Alias {
  /** A name without tag and digest; '' takes an alias of an earlier file away. */
  readonly name: string
  /** `FILE:LINE` */
  readonly where: string
}

/** A [[registry]]. */
export interface RegistryTable {
  readonly where: string
  /** `host[:port][/path]`, with a tag or digest perhaps, or `*.domain`. */
  readonly prefix: string
  /** '' for a `*.domain` whose images lie where their names say. */
  readonly location: string
  readonly insecure: boolean
  readonly blocked: boolean
  readonly mirrors: readonly MirrorTable[]
}

/** A [[registry.mirror]]. */
export interface MirrorTable {
  readonly where: string
  readonly location: string
  readonly insecure: boolean
  readonly pullFrom: 'all' | 'digest-only' | 'tag-only'
}

/** Throws failed-precondition that names the file, the line and the key. */
export function parseRegistriesFile(text: string, file: string): RegistriesFile {
  const table = parseToml(text, file)
  const lineOf = keyLines(text)
  const at = (path: KeyPath): string => `${file}:${lineOf(path) ?? 1}`
  const parsed = fileSchema.safeParse(table)
  if (!parsed.success) {
    throw wrong(
      parsed.error.issues.map((issue) => `${at(placeOf(issue))}: ${describeIssue(issue)}`).join('; '),
    )
  }
  const { data } = parsed
  const registries = data.registry.map((registry, index) => toTable(registry, ['registry', index], at))
  refuseRepeated(registries)
  const aliases = Object.entries(data.aliases).map(([name, value]) => {
    const where = at(['aliases', name])
    checkAlias(name, value, where)
    return [name, { name: value, where }] as const
  })
  return {
    searchRegistries: data['unqualified-search-registries'],
    credentialHelpers: data['credential-helpers'],
    shortNameMode: data['short-name-mode'] || undefined,
    aliases: new Map(aliases),
    registries,
  }
}

/** `host[:port]`, perhaps with a path; an image's own place is checked when it is known. */
const LOCATION = /^(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::\d+)?(?:\/[\w./:@-]*)?$/
const WILDCARD = /^\*\.[A-Za-z0-9.-]+$/
const location = z
  .string()
  .transform((text) => text.replace(/\/+$/, ''))
  .refine(
    (text) => !/^https?:\/\//i.test(text),
    'must be without https://: plain HTTP is allowed by insecure = true',
  )
  .refine(
    (text) => text === '' || /^https?:\/\//i.test(text) || LOCATION.test(text),
    'must be host[:port][/path]',
  )
const flag = z.boolean({ error: 'must be true or false' }).default(false)
/** One that a name can begin with: `reg/app` is a repository of docker.io. */
const host = z
  .string()
  .regex(
    /^(?:localhost|(?=[^/]*[.:])(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]))(?::\d+)?$/,
    'must be a host[:port] with a dot or a port in it',
  )

const mirrorSchema = z.strictObject({
  location,
  insecure: flag,
  'pull-from-mirror': z
    .enum(['', 'all', 'digest-only', 'tag-only'], { error: 'must be "all", "digest-only" or "tag-only"' })
    .default(''),
})
const registrySchema = z.strictObject({
  prefix: z
    .string()
    .transform((text) => text.replace(/\/+$/, ''))
    .refine(
      (text) => text === '' || WILDCARD.test(text) || LOCATION.test(text),
      'must be host[:port][/path] or *.domain',
    )
    .default(''),
  location: location.default(''),
  insecure: flag,
  blocked: flag,
  'mirror-by-digest-only': flag,
  mirror: z.array(mirrorSchema).default([]),
})
const fileSchema = z.strictObject({
  'unqualified-search-registries': z.array(host).optional(),
  'credential-helpers': z.array(z.string().regex(/^[A-Za-z0-9._-]+$/, "must be a helper's name")).optional(),
  // Of layer stores that this runtime does not have.
  'additional-layer-store-auth-helper': z.string().optional(),
  'short-name-mode': z
    .enum(['', 'enforcing', 'permissive', 'disabled'], {
      error: 'must be "enforcing", "permissive" or "disabled"',
    })
    .optional(),
  registry: z.array(registrySchema).default([]),
  aliases: z.record(z.string(), z.string()).default({}),
})

function toTable(
  registry: z.infer<typeof registrySchema>,
  path: KeyPath,
  at: (path: KeyPath) => string,
): RegistryTable {
  const prefix = registry.prefix || registry.location
  const where = at(path)
  if (prefix === '') throw wrong(`${where}: a [[registry]] needs a prefix or a location`)
  if (registry.location === '' && !prefix.startsWith('*.')) {
    throw wrong(`${where}: [[registry]] ${prefix} needs a location; only a prefix *.domain goes without`)
  }
  if (registry.location !== prefix && hasTag(registry.location)) throw tagged(where, registry.location)
  const mirrors = registry.mirror.map((mirror, index) => {
    const own = at([...path, 'mirror', index])
    if (mirror.location === '') throw wrong(`${own}: a [[registry.mirror]] needs a location`)
    if (hasTag(mirror.location)) throw tagged(own, mirror.location)
    const pullFrom = mirror['pull-from-mirror']
    if (pullFrom !== '' && registry['mirror-by-digest-only']) {
      throw wrong(
        `${own}: pull-from-mirror contradicts the registry's mirror-by-digest-only: keep one of them`,
      )
    }
    const byDefault = registry['mirror-by-digest-only'] ? 'digest-only' : 'all'
    return {
      where: own,
      location: mirror.location,
      insecure: mirror.insecure,
      pullFrom: pullFrom || byDefault,
    } as const
  })
  const { insecure, blocked } = registry
  return { where, prefix, location: registry.location, insecure, blocked, mirrors }
}

/** A tag or a digest; what follows a host without a path is its port. */
const hasTag = (text: string): boolean => /\/.*[:@]/.test(text)

const tagged = (where: string, location: string) =>
  wrong(`${where}: location ${location} must be without a tag and a digest: they are the image's`)

function refuseRepeated(registries: readonly RegistryTable[]): void {
  const seen = new Map<string, string>()
  for (const { prefix, where } of registries) {
    const before = seen.get(prefix)
    if (before !== undefined)
      throw wrong(`${where}: a [[registry]] for ${prefix} is in ${before} already: merge them`)
    seen.set(prefix, where)
  }
}

function checkAlias(name: string, value: string, where: string): void {
  const alias = shortName(name)
  if (alias === undefined || alias.rest !== '') {
    throw wrong(`${where}: alias "${name}" must be a short name: without registry, tag and digest`)
  }
  if (value === '') return
  if (
    shortName(value) !== undefined ||
    hasTag(value) ||
    !/^[^/]+\/.*[^/]$/.test(value) ||
    !LOCATION.test(value)
  ) {
    throw wrong(`${where}: alias "${name}" must name a registry and a repository, without tag and digest`)
  }
}

/** Of an unknown key, that key; of all else, where it stands. */
const placeOf = (issue: z.core.$ZodIssue): KeyPath =>
  issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0] ?? ''] : issue.path

function describeIssue(issue: z.core.$ZodIssue): string {
  const key = issue.path.filter((part) => typeof part === 'string').join('.')
  if (issue.code !== 'unrecognized_keys') return `${key}: ${issue.message}`
  return issue.keys.map((name) => describeUnknown(name, key)).join(', ')
}

function describeUnknown(name: string, table: string): string {
  if (name === 'registries' && table === '') {
    return '[registries.*] is of version 1: write unqualified-search-registries and [[registry]] tables instead'
  }
  const schemas: { readonly [table: string]: z.ZodObject } = {
    registry: registrySchema,
    'registry.mirror': mirrorSchema,
  }
  const near = nearestName(name, Object.keys((schemas[table] ?? fileSchema).shape))
  return near === undefined ? `${name} is not a key here` : `${name} is not a key here: is ${near} meant?`
}

const wrong = (why: string) => new CriError('failed-precondition', why)
