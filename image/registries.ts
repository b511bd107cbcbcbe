import type { HostEndpoints } from './hosts-directory.ts'
import { hostEndpoints } from './hosts-directory.ts'
import { nameOf, parseReference, type Reference, shortName } from './reference.ts'
import { RECORDED_ALIASES, type RegistriesConf, registriesConf } from './registries-conf.ts'
import { imageLocations } from './registries-locations.ts'
import type { RegistryEndpoint } from './registry-endpoint.ts'
import { type FullNames, fullNames } from './short-names.ts'

export interface RegistriesOptions {
  /** Directories of hosts.toml files and certificates, first come first served. */
  readonly directories: readonly string[]
  /** registries.conf, which need not be there. */
  readonly registriesConf: string
  /** By default podman's. */
  readonly recordedAliases?: string
}

/** Where an image may be had, in the order in which it is to be asked for. */
export interface ImageRoutes {
  readonly endpoints: readonly RegistryEndpoint[]
  /** `REGISTRY/REPOSITORY is blocked by FILE:LINE …` */
  readonly blocked: readonly string[]
}

/** What the host's files say of registries, looked at anew by every call; each throws failed-precondition naming the file. */
export interface Registries {
  fullNames(text: string): FullNames
  /**
   * The full names under which a local image may be that was pulled by this one, as tags and digests have them.
   * Throws invalid-argument alone: an image that is here is found whatever the configuration is.
   */
  localNames(text: string): readonly string[]
  routes(reference: Reference): ImageRoutes
  /** Where credentials are looked for: `containers-auth.json`, and helpers by name. */
  credentialHelpers(): readonly string[]
}

/** Which names an image has: by registries.conf. How a name's host is reached: by certs.d (docs/decisions/0016). */
export function createRegistries(options: RegistriesOptions): Registries {
  const conf = registriesConf(options.registriesConf, options.recordedAliases ?? RECORDED_ALIASES)
  const endpointsOf: HostEndpoints = hostEndpoints(options.directories)
  return {
    fullNames: (text) => fullNames(text, conf()),
    credentialHelpers: () => conf().credentialHelpers,
    localNames(text) {
      const own = parseReference(text)
      const configured = shortName(text) === undefined ? [] : configuredNames(text, conf)
      return [...new Set([...configured, own].map(nameOf))]
    },
    routes(reference) {
      const locations = imageLocations(reference, conf())
      const blocked = locations.filter(({ blockedBy }) => blockedBy !== '')
      return {
        endpoints: locations.filter(({ blockedBy }) => blockedBy === '').flatMap(endpointsOf),
        blocked: blocked.map(
          ({ registry, repository, blockedBy }) => `${registry}/${repository} is blocked by ${blockedBy}`,
        ),
      }
    },
  }
}

/** None where the configuration is broken: the pull tells that. */
function configuredNames(text: string, conf: () => RegistriesConf): readonly Reference[] {
  try {
    return fullNames(text, conf()).references
  } catch {
    return []
  }
}
