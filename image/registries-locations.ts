import { CriError } from '#lib/errors.ts'
import type { Reference } from './reference.ts'
import type { RegistriesConf } from './registries-conf.ts'
import type { RegistryTable } from './registries-file.ts'

/** Where an image is looked for: a registry and a repository, by registries.conf perhaps other ones than its name's. */
export interface ImageLocation {
  readonly registry: string
  readonly repository: string
  /** Plain HTTP and anybody's certificate will do. */
  readonly insecure: boolean
  readonly isMirror: boolean
  /** Who names it, `FILE:LINE [[registry.mirror]]`; '' where it is the image's own name. */
  readonly source: string
  /** Who forbids it, `FILE:LINE [[registry]] PREFIX`; '' when nobody does. */
  readonly blockedBy: string
}

/**
 * The mirrors of the [[registry]] with the longest prefix that fits, then its location; the image's own without one.
 * What is said of the place itself (blocked, insecure) holds for mirrors as well, as in podman and CRI-O.
 */
export function imageLocations(
  reference: Reference,
  { registries }: Pick<RegistriesConf, 'registries'>,
): readonly ImageLocation[] {
  const suffix = reference.digest === undefined ? `:${reference.tag}` : `@${reference.digest}`
  const image = reference.name + suffix
  const table = tableOf(image, registries)
  const unmatched = image.slice(table === undefined ? 0 : matchedLength(image, table.prefix))
  const at = (location: string, insecure: boolean, isMirror: boolean, source: string): ImageLocation => {
    const moved = location === '' ? image : location + unmatched
    const { registry, repository } = takeApart(
      moved.endsWith(suffix) ? moved.slice(0, -suffix.length) : moved,
    )
    const wrong = whatIsWrong(registry, repository)
    if (wrong !== '') {
      const remedy = wrong === NO_NAME ? `: give ${reference.registry} a [[registry]] of its own` : ''
      throw new CriError(
        'failed-precondition',
        `${source}: of ${image} it makes ${moved}, which ${wrong}${remedy}`,
      )
    }
    const place = tableOf(`${registry}/${repository}${suffix}`, registries)
    return {
      ...{ registry, repository, isMirror, source },
      insecure: insecure || place?.insecure === true,
      blockedBy: place?.blocked ? `${place.where} [[registry]] ${place.prefix}` : '',
    }
  }
  if (table === undefined) return [at('', false, false, '')]
  const unwanted = reference.digest === undefined ? 'digest-only' : 'tag-only'
  const mirrors = table.mirrors.filter(({ pullFrom }) => pullFrom !== unwanted)
  return [
    ...mirrors.map((mirror) =>
      at(mirror.location, mirror.insecure, true, `${mirror.where} [[registry.mirror]]`),
    ),
    at(table.location, table.insecure, false, `${table.where} [[registry]] ${table.prefix}`),
  ]
}

function tableOf(image: string, registries: readonly RegistryTable[]): RegistryTable | undefined {
  let found: RegistryTable | undefined
  for (const table of registries) {
    if (table.prefix.length <= (found?.prefix.length ?? 0)) continue
    if (matchedLength(image, table.prefix) > 0) found = table
  }
  return found
}

const NO_NAME = "is no image's name"

/** The port of a host is put behind whatever the host is replaced by. */
function whatIsWrong(registry: string, repository: string): string {
  if (repository === '') return 'names no repository'
  return /[:@]/.test(repository) || /:.*:/.test(registry.replace(/^\[.*\]/, '')) ? NO_NAME : ''
}

/** How much of `host/path:tag` a prefix stands for; 0 where it does not fit. A host stands for all its ports, too. */
function matchedLength(image: string, prefix: string): number {
  if (prefix.startsWith('*')) {
    const [host = ''] = /^[^/:]+/.exec(image) ?? []
    return host.endsWith(prefix.slice(1)) ? host.length : 0
  }
  const next = image.charAt(prefix.length)
  return image.startsWith(prefix) && /^[/:@]?$/.test(next) ? prefix.length : 0
}

function takeApart(name: string): { readonly registry: string; readonly repository: string } {
  const slash = name.indexOf('/')
  const registry = slash === -1 ? name : name.slice(0, slash)
  const path = slash === -1 ? '' : name.slice(slash + 1)
  const isOfLibrary = registry === 'docker.io' && path !== '' && !path.includes('/')
  return { registry, repository: isOfLibrary ? `library/${path}` : path }
}
