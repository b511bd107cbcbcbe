import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RequestAuth } from '#image/auth-credentials.ts'
import type { AskHelper } from '#image/auth-helper.ts'
import { hostPlatform } from '#image/platform.ts'
import { imagePuller } from '#image/pull.ts'
import { RegistryBreaker } from '#image/registry-breaker.ts'
import { DEFAULT_TIMEOUTS } from '#image/registry-http.ts'
import { DEFAULT_RETRIES } from '#image/registry-retry.ts'
import { describeError } from '#lib/errors.ts'
import { registriesIn } from '#test/fakes/pull-lab.ts'
import { type BuiltImage, buildImage } from '#test/fixtures/image.ts'
import { openImageLab } from '#test/fixtures/image-lab.ts'
import { type RegistryOptions, startRegistry, type TestRegistry } from './registry.ts'

const never = new AbortController().signal
export const small = (text: string, more: object = {}): BuiltImage =>
  buildImage({
    layers: [[{ name: 'etc/', type: 'directory' }], [{ name: 'etc/text', content: text }]],
    ...more,
  })

/** A registry, a real store, and a puller between them that reads `configure`'s files at each pull. */
export async function registryLab(options: RegistryOptions = {}, ask?: AskHelper) {
  const resources = new AsyncDisposableStack()
  const registry = resources.use(await startRegistry(options))
  const { images } = resources.use(openImageLab())
  const registriesDir = mkdtempSync(join(tmpdir(), 'cri-ts-certs-'))
  resources.defer(() => rmSync(registriesDir, { recursive: true }))
  const silent = () => {}
  const puller = imagePuller({
    store: images.store,
    platforms: [hostPlatform()],
    log: { debug: silent, info: silent, warn: silent, error: silent },
    registry: {
      ...registriesIn(registriesDir, ask),
      breaker: new RegistryBreaker({ nowNs: () => '0' }),
      timeouts: DEFAULT_TIMEOUTS,
      retries: DEFAULT_RETRIES,
    },
  })
  const directory = join(registriesDir, registry.host)
  mkdirSync(directory)
  return {
    registry,
    store: images.store,
    directory,
    configure: (text: string) => writeFileSync(join(directory, 'hosts.toml'), text),
    /** Writes a file of this host's: registries.conf, auth.json. */
    write: (name: string, text: string) => writeFileSync(join(registriesDir, name), text),
    pull: (name: string, auth?: RequestAuth) => puller.pull(`${registry.host}/${name}`, auth, never),
    pullByName: (name: string, auth?: RequestAuth) => puller.pull(name, auth, never),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

export const certificatesOf = ({ certificates }: TestRegistry) => {
  if (certificates === undefined) throw new Error('the registry has no TLS')
  return certificates
}
export const messageOf = (pull: Promise<string>): Promise<string> =>
  pull.catch((thrown: unknown) => describeError(thrown))
