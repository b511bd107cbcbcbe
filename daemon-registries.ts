import type { ImageSettings } from '#config/image-schema.ts'
import { DEFAULT_REGISTRIES_DIRS } from '#image/hosts-directory.ts'
import { LayerSlots } from '#image/layer-slots.ts'
import { createRegistries } from '#image/registries.ts'
import { RegistryBreaker } from '#image/registry-breaker.ts'
import { DEFAULT_TIMEOUTS } from '#image/registry-http.ts'
import { DEFAULT_RETRIES } from '#image/registry-retry.ts'
import type { RegistryOptions } from '#image/registry-session.ts'
import type { Clock } from '#runtime/ports.ts'

/** How registries are asked: as the files say that [image] names. */
export function openRegistries(
  { registriesDir, registriesConf, maxParallelDownloads, pullProgressTimeoutMs }: ImageSettings,
  clock: Clock,
): RegistryOptions {
  return {
    registries: createRegistries({
      directories: registriesDir === undefined ? DEFAULT_REGISTRIES_DIRS : [registriesDir],
      registriesConf,
    }),
    breaker: new RegistryBreaker(clock),
    timeouts: DEFAULT_TIMEOUTS,
    retries: DEFAULT_RETRIES,
    slots: new LayerSlots(maxParallelDownloads),
    progressTimeoutMs: pullProgressTimeoutMs,
  }
}
