import { createHash } from 'node:crypto'
import { CriError, invalidArgument } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import { artifactLayers, type LayerForm } from './artifact-layers.ts'
import type { RequestAuth } from './auth-credentials.ts'
import type { PullAuth } from './auth-session.ts'
import { chooseManifest, type ImageManifest, notWanted } from './choose-manifest.ts'
import { parseImageConfig } from './image-config.ts'
import type { ImageRecord, ImageSource, ImageStore } from './image-source.ts'
import type { Descriptor } from './manifest.ts'
import { describePlatform, describePlatforms, filledIn, type Platform, suitability } from './platform.ts'
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
  /** Images for others are refused; the first is best. */
  readonly platforms: readonly Platform[]
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
  /** That one alone; throws invalid-argument where it is not one of the puller's. */
  readonly platform?: Platform | undefined
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
    async pull(text, auth, signal, { watch = () => {}, namespace = '', platform } = {}) {
      const { references, resolvedBy } = dependencies.registry.registries.fullNames(text)
      const platforms = platform === undefined ? given.platforms : [allowed(platform, given.platforms)]
      const names = references.map(nameOf)
      const request = resolvedBy === '' ? auth : authOfShortName(auth)
      const kept = registry.auths.open(parseReference(text).name, namespace)
      const { guard } = dependencies
      const guards =
        guard === undefined ? new Map<Reference, OpenGuard>() : await openGuards(references, namespace, guard)
      const guardKeys = [...guards.values()].map((guard) => guard.key)
      const asked = [describePlatforms(platforms), ...guardKeys, fingerprint(request), kept.key]
      const key = [...names, ...asked].join(' ')
      const start = (shared: AbortSignal) => {
        const about = new PullProgress(names[0] ?? text, observer?.received)
        const result = pullInTurn(text, references, (reference) => {
          const of = { progress: about, guard: guards.get(reference) ?? noGuard }
          return pullOnce(reference, { request, kept }, { ...dependencies, platforms }, of, shared)
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
  { store, platforms }: PullDependencies,
  { progress, guard, watch }: PullParts & { readonly watch: PullWatch },
): Promise<string> {
  const { signal } = watch
  const digest = await watch.step('the manifest', session.resolve(signal))
  const names = {
    tags: reference.tagged === undefined ? [] : [reference.tagged],
    digests: [`${reference.name}@${digest}`],
  }
  const present = store.find(`${reference.name}@${digest}`)
  const isWanted = present !== undefined && isAsWanted(present, names.tags, platforms)
  if (isWanted && (await guard.admits(present.id, `${reference.name}@${digest}`))) return present.id
  const chosen = chooseManifest(session, digest, platforms, signal)
  const { manifest, manifestDigest, content } = await watch.step('the manifest', chosen)
  const checked = guard.check(session, [digest, manifestDigest], signal)
  const keepProof = await watch.step('the signatures', checked)
  const parts = { session, progress, watch }
  const source =
    manifest.kind === 'artifact'
      ? { config: content, layers: fetchedLayers(artifactLayers(manifest.blobs), parts) }
      : await toSource(manifest, platforms, parts)
  const id = await store.add({ ...source, ...names, manifestDigest }, signal)
  keepProof(id)
  return id
}

interface SourceParts {
  readonly session: RegistrySession
  readonly progress: PullProgress
  readonly watch: PullWatch
}

async function toSource(
  manifest: ImageManifest,
  wanted: readonly Platform[],
  parts: SourceParts,
): Promise<Pick<ImageSource, 'config' | 'layers'>> {
  const { session, progress, watch } = parts
  const config = await watch.step('the config', session.config(manifest.config, watch.signal))
  const { diffIds, platform, artifactType } = parseImageConfig(config, progress.image)
  const built = filledIn(platform, wanted)
  if (suitability(built, wanted) === undefined) throw notWanted(wanted, describePlatform(built))
  if (diffIds.length !== manifest.layers.length || artifactType !== undefined) {
    throw new CriError(
      'failed-precondition',
      `its manifest has ${manifest.layers.length} layers, its config ${diffIds.length}: it is broken, push it anew`,
    )
  }
  const layers = manifest.layers.map((blob, index) => ({ blob, diffId: diffIds[index] ?? '' }))
  return { config, layers: fetchedLayers(layers, parts) }
}

function fetchedLayers(
  layers: readonly { readonly blob: Descriptor; readonly diffId: string; readonly form?: LayerForm }[],
  { session, progress, watch }: SourceParts,
): ImageSource['layers'] {
  progress.begin(layers.map(({ blob }) => blob))
  return layers.map(({ blob, ...about }, index) => {
    const received = (receivedBytes: number) => progress.received(index, receivedBytes)
    return {
      ...{ digest: blob.digest, mediaType: blob.mediaType, sizeBytes: blob.sizeBytes, ...about },
      open: async (stop: AbortSignal) => {
        received(0)
        return watch.chunks(`layer ${blob.digest}`, session.blob(blob, stop, received))
      },
      arrived: () => progress.arrived(index),
    }
  })
}

/** What is here of that digest may be for a platform that is not the best: only a look at the index can tell. */
function isAsWanted(present: ImageRecord, tags: readonly string[], wanted: readonly Platform[]): boolean {
  const isBest = suitability(filledIn(present.platform, wanted), wanted.slice(0, 1)) !== undefined
  return isBest && tags.every((tag) => present.tags.includes(tag))
}

function allowed(platform: Platform, platforms: readonly Platform[]): Platform {
  if (suitability(platform, platforms) !== undefined) return platform
  throw invalidArgument(
    `platform ${describePlatform(platform)} is not run here, but ${describePlatforms(platforms)}: add it to image.platforms`,
  )
}

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
