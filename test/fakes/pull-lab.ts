import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { RequestAuth } from '#image/auth-credentials.ts'
import type { AskHelper } from '#image/auth-helper.ts'
import { createAuthSources } from '#image/auth-sources.ts'
import { parsePlatform } from '#image/platform.ts'
import type { PullGuard } from '#image/policy-guard.ts'
import { type ImagePuller, imagePuller } from '#image/pull.ts'
import { pullMetrics } from '#image/pull-metrics.ts'
import type { PullProgress } from '#image/pull-progress.ts'
import type { Reference } from '#image/reference.ts'
import { createRegistries } from '#image/registries.ts'
import { RegistryBreaker } from '#image/registry-breaker.ts'
import { type RegistryOptions, RegistrySession } from '#image/registry-session.ts'
import { describeError } from '#lib/errors.ts'
import { Metrics } from '#lib/metrics.ts'
import type { Clock } from '#runtime/ports.ts'
import { FakeImageStore } from './fake-image-store.ts'
import { type FakeImage, FakeRegistry, type SeenRequest } from './fake-registry.ts'

export const noAuth: RequestAuth = {
  username: '',
  password: '',
  auth: '',
  serverAddress: '',
  identityToken: '',
  registryToken: '',
}
export const user: RequestAuth = { ...noAuth, username: 'u', password: 's3cret' }

/** A registry, another that may be its mirror, and a puller whose pauses take no time and whose timeouts are short. */
export interface PullLab extends AsyncDisposable {
  readonly registry: FakeRegistry
  readonly mirror: FakeRegistry
  readonly store: FakeImageStore
  readonly puller: ImagePuller
  readonly configDir: string
  /** The breaker's. */
  readonly clock: { seconds: number }
  /** Milliseconds, each. */
  readonly pauses: readonly number[]
  /** What the puller counts: `name{labels} value`, zeros left out. */
  counts(): string[]
  /** Of each pull by `pull`. */
  readonly progress: readonly PullProgress[]
  /** Of `repository:tag` in the registry. */
  pull(name: string, auth?: RequestAuth): Promise<string>
  failureOf(name: string, auth?: RequestAuth): Promise<{ kind: unknown; message: string }>
  /** `METHOD /path` of all requests. */
  seen(of?: FakeRegistry): string[]
  gets(target: RegExp, of?: FakeRegistry): SeenRequest[]
  /** A way to the registry of a reference, as pulls have it. */
  open(reference: Reference): RegistrySession
  /** Writes the registry's hosts.toml; by default the other registry is its mirror. */
  configureMirror(text?: string): Promise<void>
  isWhole(image: FakeImage): void
}

/** `platforms` as in the configuration; `asked` is how the puller asks registries, where that is not as by default. */
export async function pullLab(
  guard?: PullGuard,
  platforms: readonly string[] = ['linux/amd64'],
  asked: Partial<RegistryOptions> = {},
): Promise<PullLab> {
  await using undo = new AsyncDisposableStack()
  const registry = undo.use(await FakeRegistry.start())
  const mirror = undo.use(await FakeRegistry.start())
  const configDir = await mkdtemp(join(tmpdir(), 'cri-ts-pull-'))
  undo.defer(() => rm(configDir, { recursive: true }))
  const store = new FakeImageStore()
  const pauses: number[] = []
  const clock = { seconds: 0, nowNs: () => `${clock.seconds}000000000` }
  const progress: PullProgress[] = []
  const metrics = new Metrics()
  const parts = { store, ...(guard && { guard }), metrics, clock, platforms, asked }
  const puller = quickPuller(parts, configDir, pauses)
  const pull: PullLab['pull'] = (name, auth) =>
    puller.pull(`${registry.host}/${name}`, auth, new AbortController().signal, {
      watch: (begun) => progress.push(begun),
    })
  const resources = undo.move()
  return {
    registry,
    mirror,
    store,
    puller,
    configDir,
    pauses,
    clock,
    counts: () => metrics.text().match(/^cri_ts.*(?<! 0)$/gm) ?? [],
    progress,
    pull,
    async failureOf(name, auth) {
      try {
        throw new Error(`pulled ${await pull(name, auth)}`)
      } catch (thrown) {
        return { kind: (thrown as { kind?: unknown }).kind, message: describeError(thrown) }
      }
    },
    seen: ({ requests } = registry) => requests.map(({ method, target }) => `${method} ${target}`),
    gets: (match, { requests } = registry) => requests.filter(({ target }) => match.test(target)),
    open(reference) {
      const options = registryOptions(configDir, clock, pauses)
      const auth = { request: undefined, kept: options.auths.open(reference.name, '') }
      return new RegistrySession(reference, auth, options, silent, new AbortController().signal)
    },
    async configureMirror(text = `[host."http://${mirror.host}"]`) {
      await mkdir(join(configDir, registry.host))
      await writeFile(join(configDir, registry.host, 'hosts.toml'), text)
    },
    isWhole({ id, layers }) {
      expect(store.find(id)?.diffIds).toEqual(layers.map(({ diffId }) => diffId))
      for (const { diffId, blob } of layers) expect(store.layer(diffId)?.equals(blob)).toBe(true)
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

function quickPuller(
  {
    metrics,
    clock,
    platforms,
    asked,
    ...parts
  }: {
    readonly store: FakeImageStore
    readonly guard?: PullGuard
    readonly metrics: Metrics
    readonly clock: Clock
    readonly platforms: readonly string[]
    readonly asked: Partial<RegistryOptions>
  },
  registriesDir: string,
  pauses: number[],
): ImagePuller {
  return imagePuller({
    ...parts,
    observer: pullMetrics(metrics, () => 0),
    platforms: platforms.map(parsePlatform),
    log: silent,
    registry: { ...registryOptions(registriesDir, clock, pauses), ...asked },
  })
}

/** What the files in a directory say: hosts.toml below it, registries.conf, auth.json, and namespaced/. */
export function registriesIn(directory: string, ask: AskHelper = async () => undefined) {
  const registries = createRegistries({
    directories: [directory],
    registriesConf: join(directory, 'registries.conf'),
    recordedAliases: join(directory, 'aliases.conf'),
  })
  const auths = createAuthSources({
    files: [join(directory, 'auth.json')],
    namespacedDirectory: join(directory, 'namespaced'),
    order: () => registries.credentialHelpers(),
    ask,
    log: silent,
  })
  return { registries, auths }
}

const nothing = () => {}
const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing }

/** As the files in a directory say, with pauses that take no time. */
export const registryOptions = (
  registriesDir: string,
  clock: Clock,
  pauses: number[] = [],
): RegistryOptions => ({
  ...registriesIn(registriesDir),
  breaker: new RegistryBreaker(clock),
  timeouts: { connectMs: 5000, responseMs: 300, stallMs: 300 },
  retries: {
    attempts: 3,
    backoffMs: 10,
    longestPauseMs: 5000,
    pause: async (durationMs) => void pauses.push(durationMs),
  },
})
