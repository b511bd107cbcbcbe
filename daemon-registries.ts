import type { ImageSettings } from '#config/image-schema.ts'
import { credentialHelpers } from '#image/auth-helper.ts'
import { createAuthSources, defaultAuthFiles } from '#image/auth-sources.ts'
import { DEFAULT_REGISTRIES_DIRS } from '#image/hosts-directory.ts'
import { LayerSlots } from '#image/layer-slots.ts'
import { createRegistries } from '#image/registries.ts'
import { RegistryBreaker } from '#image/registry-breaker.ts'
import { DEFAULT_TIMEOUTS } from '#image/registry-http.ts'
import { DEFAULT_RETRIES } from '#image/registry-retry.ts'
import type { RegistryOptions } from '#image/registry-session.ts'
import type { Log } from '#lib/log.ts'
import type { Command, Finished } from '#linux/command.ts'
import type { Clock } from '#runtime/ports.ts'

interface RegistriesInput {
  readonly run: (command: Command) => Promise<Finished>
  readonly clock: Clock
  readonly log: Log
}

/** How registries are asked: as the files say that [image] names. */
export function openRegistries(
  { registriesDir, registriesConf, authFile, namespacedAuthDir, ...image }: ImageSettings,
  { run, clock, log }: RegistriesInput,
): RegistryOptions {
  const registries = createRegistries({
    directories: registriesDir === undefined ? DEFAULT_REGISTRIES_DIRS : [registriesDir],
    registriesConf,
  })
  return {
    registries,
    auths: createAuthSources({
      files: authFile === undefined ? defaultAuthFiles() : [authFile],
      namespacedDirectory: namespacedAuthDir,
      order: () => registries.credentialHelpers(),
      ask: credentialHelpers({ run }),
      log,
    }),
    breaker: new RegistryBreaker(clock),
    timeouts: DEFAULT_TIMEOUTS,
    retries: DEFAULT_RETRIES,
    slots: new LayerSlots(image.maxParallelDownloads),
    progressTimeoutMs: image.pullProgressTimeoutMs,
  }
}
