import { CriError } from '#lib/errors.ts'
import { parseReference, type Reference, shortName } from './reference.ts'
import type { RegistriesConf } from './registries-conf.ts'

/** What a reference stands for, and how that was found. */
export interface FullNames {
  /** To be tried in this order; at least one. */
  readonly references: readonly Reference[]
  /** '' for a name that is full by itself. */
  readonly resolvedBy: string
}

const DOCKER_HUB = 'docker.io, as nothing is configured for short names'

/**
 * A short name (`busybox:1`) by its alias, else in the unqualified-search-registries, else of docker.io.
 * Throws invalid-argument for what is no reference, failed-precondition where the configuration leaves it ambiguous.
 */
export function fullNames(text: string, conf: RegistriesConf): FullNames {
  const own = parseReference(text)
  const short = shortName(text)
  if (short === undefined) return { references: [own], resolvedBy: '' }
  const alias = conf.aliases.get(short.name)
  if (alias !== undefined && alias.name !== '') {
    return { references: [parseReference(alias.name + short.rest)], resolvedBy: `alias in ${alias.where}` }
  }
  const { searchRegistries = [], searchMode, searchFile } = conf
  if (searchRegistries.length === 0) return { references: [own], resolvedBy: DOCKER_HUB }
  if (searchMode === 'enforcing' && searchRegistries.length > 1) {
    throw new CriError(
      'failed-precondition',
      `image name ${text} is short, and ${searchFile} names ${searchRegistries.length} registries to search with short-name-mode = "enforcing": give the full name, or an alias`,
    )
  }
  return {
    references: searchRegistries.map((registry) => parseReference(`${registry}/${text}`)),
    resolvedBy: `unqualified-search-registries in ${searchFile}`,
  }
}
