import type { ImageSettings } from '#config/image-schema.ts'
import { credentialHelpers } from '#image/auth-helper.ts'
import { hostRegistries } from '#image/host-registries.ts'
import { LayerSlots } from '#image/layer-slots.ts'
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
export function openRegistries(image: ImageSettings, { run, clock, log }: RegistriesInput): RegistryOptions {
  return {
    ...hostRegistries(image, { ask: credentialHelpers({ run }), log }),
    breaker: new RegistryBreaker(clock),
    timeouts: DEFAULT_TIMEOUTS,
    retries: DEFAULT_RETRIES,
    slots: new LayerSlots(image.maxParallelDownloads),
    progressTimeoutMs: image.pullProgressTimeoutMs,
  }
}
