import { isExact, type SignedIdentity } from './policy-schema.ts'
import { parseReference, type Reference } from './reference.ts'

/**
 * Whether the image that a signature says it is for (`claimed`) is the one that was asked for, by the policy's rule
 * (containers-policy.json(5), signedIdentity). Undefined if it is, else why not.
 */
export function identityMismatch(
  rule: SignedIdentity,
  intended: Reference,
  claimed: string,
): string | undefined {
  const signed = parseClaim(claimed)
  if (signed === undefined) return `it is for ${JSON.stringify(claimed)}, which is no image reference`
  const wanted = wantedBy(rule, intended)
  const isWanted = wanted.exact === undefined ? signed.name === wanted.name : signed.exact === wanted.exact
  const isTagged = signed.exact !== undefined || anyTag.includes(rule.type)
  if (isWanted && isTagged) return undefined
  const hint =
    signed.exact === undefined && signed.name === wanted.name
      ? ': it names no tag, as those of cosign do; signedIdentity {"type":"matchRepository"} accepts them'
      : ''
  return `it is for ${signed.exact ?? signed.name}, not for ${wanted.exact ?? wanted.name}${hint}`
}

/** Those that take a signature for a whole repository. */
const anyTag: readonly SignedIdentity['type'][] = ['matchRepository', 'exactRepository']

interface Claim {
  readonly name: string
  /** With its tag or digest; undefined where it has neither. */
  readonly exact: string | undefined
}

function parseClaim(text: string): Claim | undefined {
  try {
    const { name, tagged, canonical } = parseReference(text)
    if (!isExact(text)) return { name, exact: undefined }
    const [tag] = /:[^/:@]+(?=@)/.exec(text) ?? []
    return {
      name,
      exact: tag === undefined ? (tagged ?? canonical) : `${name}${tag}${text.slice(text.indexOf('@'))}`,
    }
  } catch {
    return undefined
  }
}

/** What a signature has to be for; without `exact` a repository, with any tag. */
function wantedBy(rule: SignedIdentity, intended: Reference): Claim {
  const { name, tagged, canonical } = intended
  switch (rule.type) {
    case 'matchExact':
      return { name, exact: tagged ?? canonical ?? name }
    case 'matchRepository':
      return { name, exact: undefined }
    case 'exactReference':
      return parseClaim(rule.dockerReference) ?? { name: '', exact: '' }
    case 'exactRepository':
      return { name: parseClaim(rule.dockerRepository)?.name ?? '', exact: undefined }
    case 'matchRepoDigestOrExact':
      return { name, exact: tagged }
    case 'remapIdentity': {
      const remapped = remap(name, rule)
      return { name: remapped, exact: tagged && remapped + tagged.slice(name.length) }
    }
  }
}

const remap = (name: string, { prefix, signedPrefix }: { prefix: string; signedPrefix: string }): string =>
  name === prefix || name.startsWith(`${prefix}/`) ? signedPrefix + name.slice(prefix.length) : name
