import { createHash } from 'node:crypto'
import { lstat, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { z } from 'zod'
import { errnoOf } from '#lib/errors.ts'
import { parseUniqueJson } from './policy-json.ts'
import { refusal } from './policy-refusal.ts'
import { type PolicyFile, type PolicyRequirement, policySchema } from './policy-schema.ts'
import type { Reference } from './reference.ts'

/** Signature policies of the node, as they are now. */
export interface PolicyFiles {
  /**
   * That of a pod's namespace, else the node's; undefined where there is none, and every image is accepted.
   * Throws unverified, naming the file and the key, for one that cannot be read: nothing is accepted by it.
   */
  of(namespace: string): Promise<Policy | undefined>
}

export interface Policy {
  readonly file: string
  /** Of the file: `sha256:` and 64 digits. */
  readonly digest: string
  /** Those of the narrowest scope that a reference is in; undefined: of an image that has no name. */
  rulesFor(reference: Reference | undefined): readonly PolicyRule[]
}

export interface PolicyRule {
  /** Where it stands: `transports.docker["registry.example"][0]`. */
  readonly at: string
  readonly requirement: PolicyRequirement
}

export interface PolicyFilesOptions {
  /** Undefined: `fallback` if it is there. */
  readonly policy: string | undefined
  /** Holds NAMESPACE.json; one that is not there holds none. */
  readonly directory: string
  readonly fallback?: string
}

const DEFAULT_POLICY = '/etc/containers/policy.json'

export function policyFiles({
  policy,
  directory,
  fallback = DEFAULT_POLICY,
}: PolicyFilesOptions): PolicyFiles {
  const read = new Map<string, Policy>()

  /** Undefined where the file is not there; what was parsed before is not parsed again while it stays the same. */
  async function readPolicy(file: string): Promise<Policy | undefined> {
    let content: Buffer
    try {
      content = await readFile(file)
    } catch (cause) {
      if (errnoOf(cause) === 'ENOENT' && !(await isThere(file))) return undefined
      const why = errnoOf(cause) === 'ENOENT' ? 'it is a link to what is not there' : errnoOf(cause)
      throw refusal(`signature policy ${file} cannot be read: ${why ?? String(cause)}`)
    }
    const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`
    const known = read.get(file)
    if (known?.digest === digest) return known
    const parsed = parsePolicy(file, content.toString(), digest)
    read.set(file, parsed)
    return parsed
  }

  return {
    async of(namespace) {
      if (/[/\0]/.test(namespace)) {
        throw refusal(`the pod's namespace ${JSON.stringify(namespace)} is no name: no policy can be its own`)
      }
      const own = namespace === '' ? undefined : await readPolicy(join(directory, `${namespace}.json`))
      if (own !== undefined) return own
      const found = await readPolicy(policy ?? fallback)
      if (found !== undefined || policy === undefined) return found
      throw refusal(`signature policy ${policy} is not there: write it, or change image.signature_policy`)
    },
  }
}

/** A link counts, wherever it leads. */
const isThere = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    (error: unknown) => errnoOf(error) !== 'ENOENT',
  )

function parsePolicy(file: string, text: string, digest: string): Policy {
  let json: unknown
  try {
    json = parseUniqueJson(text)
  } catch (cause) {
    throw refusal(`signature policy ${file} is no valid JSON: ${String(cause)}`)
  }
  const parsed = policySchema.safeParse(json)
  if (!parsed.success) throw refusal(`signature policy ${file}: ${describeIssue(parsed.error)}`)
  return { file, digest, rulesFor: (reference) => rulesFor(parsed.data, reference) }
}

/** The first thing that is wrong, and where: `transports.docker["x"][0].keyPaht: unknown key`. */
function describeIssue({ issues }: z.ZodError): string {
  // A misspelt key is missing too, which does not say why.
  const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0]
  if (issue === undefined) return 'is not as containers-policy.json(5) says'
  const at = issue.path.map((key, index) => shownKey(key, index === 0)).join('')
  if (issue.code === 'unrecognized_keys') return `${at || 'its top'}: unknown key ${issue.keys.join(', ')}`
  return `${at || 'its top'}: ${issue.message}`
}

function shownKey(key: PropertyKey, isFirst: boolean): string {
  if (typeof key === 'number') return `[${key}]`
  const name = String(key)
  if (!/^\w+$/.test(name)) return `[${JSON.stringify(name)}]`
  return isFirst ? name : `.${name}`
}

function rulesFor(policy: PolicyFile, reference: Reference | undefined): readonly PolicyRule[] {
  const scopes = policy.transports?.['docker'] ?? {}
  for (const scope of reference === undefined ? [''] : scopesOf(reference)) {
    const rules = Object.hasOwn(scopes, scope) ? scopes[scope] : undefined
    if (rules !== undefined) return located(rules, `transports.docker[${JSON.stringify(scope)}]`)
  }
  return located(policy.default, 'default')
}

const located = (requirements: readonly PolicyRequirement[], at: string): readonly PolicyRule[] =>
  requirements.map((requirement, index) => ({ at: `${at}[${index}]`, requirement }))

/** Narrowest first: the reference, its repository, its namespaces, the host, `*.` and its domains, all. */
function scopesOf({ name, tagged, canonical, registry }: Reference): readonly string[] {
  const scopes = [tagged ?? canonical ?? name]
  for (let rest = name; rest !== ''; rest = rest.slice(0, Math.max(rest.lastIndexOf('/'), 0)))
    scopes.push(rest)
  const host = registry.replace(/:\d+$/, '')
  for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
    scopes.push(`*${host.slice(dot)}`)
  }
  return [...scopes, '']
}
