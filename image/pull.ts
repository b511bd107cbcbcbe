import { createHash } from 'node:crypto'
import { CriError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import type { RequestAuth } from './auth-credentials.ts'
import type { PullAuth } from './auth-session.ts'
import { parseImageConfig } from './image-config.ts'
import type { ImageSource, ImageStore } from './image-source.ts'
import { type IndexEntry, type Manifest, parseManifest } from './manifest.ts'
import { describePlatform, type Platform, suitability } from './platform.ts'
import { noGuard, type OpenGuard, type PullGuard } from './policy-guard.ts'
import { authOfShortName, pullInTurn } from './pull-in-turn.ts'
import type { PullObserver } from './pull-metrics.ts'
import { PullProgress } from './pull-progress.ts'
import { SharedCalls } from './pull-sharing.ts'
import { PullWatch } from './pull-watch.ts'
import { nameOf, parseReference, type Reference } from './reference.ts'
import { type RegistryOptions, RegistrySession } from './registry-session.ts'

export interface PullDependencies {
  readonly store: Pick<ImageStore, 'add' | 'find'>
  readonly registry: RegistryOptions
  readonly platform: Platform
  readonly log: Log
  /** Left out: whatever the registry has is accepted. */
  readonly guard?: PullGuard
  readonly observer?: PullObserver
}

export interface PullOptions {
  /** Of the pod that it is for: it may have a policy and credentials of its own. */
  readonly namespace?: string
  /** Is handed the pull's progress as soon as that has begun; of a pull that is joined, how far it is already. */
  readonly watch?: (progress: PullProgress) => void
}

export interface ImagePuller {
  /**
   * Brings the image of a reference here and answers its id. Pulls of one reference with the same credentials
   * share the work; `signal` is this caller's, the pull is given up when every caller's has aborted.
   * Throws invalid-argument for a bad reference or unreadable credentials, not-found and unauthenticated as the
   * registry answers, failed-precondition for an image that cannot run here, unverified for one that policy refuses,
   * unavailable for the rest.
   */
  pull(
    reference: string,
    auth: RequestAuth | undefined,
    signal: AbortSignal,
    options?: PullOptions,
  ): Promise<string>
}

export function imagePuller({ observer, ...given }: PullDependencies): ImagePuller {
  const registry = { ...given.registry, observer: observer?.registries }
  const dependencies = { ...given, registry }
  const underWay = new SharedCalls<string, PullProgress>()
  return {
    async pull(text, auth, signal, { watch = () => {}, namespace = '' } = {}) {
      const { references, resolvedBy } = dependencies.registry.registries.fullNames(text)
      const names = references.map(nameOf)
      const request = resolvedBy === '' ? auth : authOfShortName(auth)
      const kept = registry.auths.open(parseReference(text).name, namespace)
      const { guard } = dependencies
      const guards =
        guard === undefined ? new Map<Reference, OpenGuard>() : await openGuards(references, namespace, guard)
      const key = `${names.join(' ')} ${[...guards.values()].map((guard) => guard.key).join(' ')} ${fingerprint(request)} ${kept.key}`
      const start = (shared: AbortSignal) => {
        const about = new PullProgress(names[0] ?? text, observer?.received)
        const result = pullInTurn(text, references, (reference) => {
          const of = { progress: about, guard: guards.get(reference) ?? noGuard }
          return pullOnce(reference, { request, kept }, dependencies, of, shared)
        })
        return { about, result: observer?.observed(result, about) ?? result }
      }
      return underWay.join(key, signal, start, watch)
    },
  }
}

async function openGuards(
  references: readonly Reference[],
  namespace: string,
  guard: PullGuard,
): Promise<ReadonlyMap<Reference, OpenGuard>> {
  const opened = references.map(
    async (reference) => [reference, await guard.open(reference, namespace)] as const,
  )
  return new Map(await Promise.all(opened))
}

interface PullParts {
  readonly progress: PullProgress
  readonly guard: OpenGuard
}

async function pullOnce(
  reference: Reference,
  auth: PullAuth,
  dependencies: PullDependencies,
  parts: PullParts,
  signal: AbortSignal,
): Promise<string> {
  const { registry, log } = dependencies
  using watch = new PullWatch(registry.progressTimeoutMs ?? 0, signal)
  try {
    using session = new RegistrySession(reference, auth, registry, log, watch.signal)
    return await pullFrom(session, reference, dependencies, { ...parts, watch })
  } catch (thrown) {
    throw withName(watch.explain(thrown), nameOf(reference))
  }
}

async function pullFrom(
  session: RegistrySession,
  reference: Reference,
  { store, platform }: PullDependencies,
  { progress, guard, watch }: PullParts & { readonly watch: PullWatch },
): Promise<string> {
  const { signal } = watch
  const digest = await watch.step('the manifest', session.resolve(signal))
  const names = {
    tags: reference.tagged === undefined ? [] : [reference.tagged],
    digests: [`${reference.name}@${digest}`],
  }
  const present = store.find(`${reference.name}@${digest}`)
  const isNamed = present !== undefined && names.tags.every((tag) => present.tags.includes(tag))
  if (isNamed && (await guard.admits(present.id, `${reference.name}@${digest}`))) return present.id
  const chosen = chooseManifest(session, digest, platform, signal)
  const { manifest, manifestDigest } = await watch.step('the manifest', chosen)
  const checked = guard.check(session, [digest, manifestDigest], signal)
  const keepProof = await watch.step('the signatures', checked)
  const config = await watch.step('the config', session.config(manifest.config, signal))
  const source = toSource({ session, manifest, config, progress, watch }, platform)
  const id = await store.add({ ...source, ...names, manifestDigest }, signal)
  keepProof(id)
  return id
}

type ImageManifest = Extract<Manifest, { kind: 'image' }>

/** Through the index, where the digest is of one, to the manifest for this platform. */
async function chooseManifest(
  session: RegistrySession,
  digest: string,
  platform: Platform,
  signal: AbortSignal,
): Promise<{ manifest: ImageManifest; manifestDigest: string }> {
  const top = await fetchManifest(session, digest, signal)
  if (top.kind === 'image') return { manifest: top, manifestDigest: digest }
  const chosen = chooseEntry(top.entries, platform)
  const manifest = await fetchManifest(session, chosen.digest, signal, chosen.mediaType)
  if (manifest.kind === 'image') return { manifest, manifestDigest: chosen.digest }
  throw new CriError(
    'failed-precondition',
    `its index ${digest} names another index, ${chosen.digest}, for this platform`,
  )
}

async function fetchManifest(
  session: RegistrySession,
  digest: string,
  signal: AbortSignal,
  mediaType?: string,
): Promise<Manifest> {
  const fetched = await session.manifest(digest, signal)
  return parseManifest(fetched.content, mediaType ?? fetched.mediaType)
}

/** The best for the host; one that names no platform where none does fit: its config is looked at later. */
function chooseEntry(entries: readonly IndexEntry[], host: Platform): IndexEntry {
  const suiting = entries
    .map((entry) => ({ entry, rank: entry.platform && suitability(entry.platform, host) }))
    .filter(({ rank }) => rank !== undefined)
    .toSorted((a, b) => (a.rank ?? 0) - (b.rank ?? 0))
  const chosen = suiting[0]?.entry ?? entries.find(({ platform }) => platform === undefined)
  if (chosen !== undefined) return chosen
  const offered = new Set(entries.flatMap(({ platform }) => (platform ? [describePlatform(platform)] : [])))
  offered.delete('unknown/unknown') // attestations
  throw notForHost(host, [...offered].join(', ') || 'nothing')
}

interface SourceParts {
  readonly session: RegistrySession
  readonly manifest: ImageManifest
  readonly config: Buffer
  readonly progress: PullProgress
  readonly watch: PullWatch
}

function toSource(
  { session, manifest, config, progress, watch }: SourceParts,
  host: Platform,
): Pick<ImageSource, 'config' | 'layers'> {
  const { diffIds, platform } = parseImageConfig(config, progress.image)
  const built = {
    ...platform,
    os: platform.os || host.os,
    architecture: platform.architecture || host.architecture,
  }
  if (suitability(built, host) === undefined) throw notForHost(host, describePlatform(built))
  if (diffIds.length !== manifest.layers.length) {
    throw new CriError(
      'failed-precondition',
      `its manifest has ${manifest.layers.length} layers, its config ${diffIds.length}: it is broken, push it anew`,
    )
  }
  progress.begin(manifest.layers)
  const layers = manifest.layers.map((layer, index) => {
    const received = (receivedBytes: number) => progress.received(index, receivedBytes)
    return {
      ...layer,
      diffId: diffIds[index] ?? '',
      open: async (stop: AbortSignal) => {
        received(0)
        return watch.chunks(`layer ${layer.digest}`, session.blob(layer, stop, received))
      },
      arrived: () => progress.arrived(index),
    }
  })
  return { config, layers }
}

const notForHost = (host: Platform, offered: string) =>
  new CriError(
    'failed-precondition',
    `there is none for this host's ${describePlatform(host)}, only for ${offered}`,
  )

/** A foreseen failure says which pull it was of; what is none stays as it is. */
function withName(thrown: unknown, name: string): unknown {
  if (!(thrown instanceof CriError) || thrown.kind === 'unverified' || thrown.message.includes(name))
    return thrown
  return new CriError(thrown.kind, `pull ${name}: ${thrown.message}`, { cause: thrown.cause })
}

/** Tells credentials apart without keeping them. */
function fingerprint(auth: RequestAuth | undefined): string {
  if (auth === undefined) return ''
  const { username, password, serverAddress, identityToken, registryToken } = auth
  const parts = [username, password, auth.auth, serverAddress, identityToken, registryToken]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}
