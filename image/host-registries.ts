import type { Log } from '#lib/log.ts'
import type { AskHelper } from './auth-helper.ts'
import { type AuthSources, createAuthSources, defaultAuthFiles } from './auth-sources.ts'
import { DEFAULT_REGISTRIES_DIRS } from './hosts-directory.ts'
import { createRegistries, type Registries } from './registries.ts'

/** Paths; undefined is the usual places. */
export interface RegistryFiles {
  readonly registriesDir: string | undefined
  readonly registriesConf: string
  readonly authFile: string | undefined
  readonly namespacedAuthDir: string | undefined
}

/** What this host's files say of registries and of credentials for them. */
export function hostRegistries(
  { registriesDir, registriesConf, authFile, namespacedAuthDir }: RegistryFiles,
  { ask, log }: { readonly ask: AskHelper; readonly log: Log },
): { readonly registries: Registries; readonly auths: AuthSources } {
  const registries = createRegistries({
    directories: registriesDir === undefined ? DEFAULT_REGISTRIES_DIRS : [registriesDir],
    registriesConf,
  })
  const auths = createAuthSources({
    files: authFile === undefined ? defaultAuthFiles() : [authFile],
    namespacedDirectory: namespacedAuthDir,
    order: () => registries.credentialHelpers(),
    ...{ ask, log },
  })
  return { registries, auths }
}
