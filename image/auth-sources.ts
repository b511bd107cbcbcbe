import { createHash } from 'node:crypto'
import { readFileSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { describeError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import type { Credentials } from './auth-credentials.ts'
import { type AuthFile, type AuthPlace, authPlace, nearestKey, parseAuthFile } from './auth-file.ts'
import type { AskHelper } from './auth-helper.ts'
import { isAbsence, ParsedFiles, unreadable } from './parsed-files.ts'
import { AUTH_FILES } from './registries-conf.ts'
import type { RegistryEndpoint } from './registry-endpoint.ts'

export interface AuthSourcesOptions {
  /** Files of containers-auth.json(5); the first that has something for a place has the word. */
  readonly files: readonly string[]
  /** Of NAMESPACE-SHA256.json files; undefined for none. */
  readonly namespacedDirectory: string | undefined
  /** credential-helpers of registries.conf: names of helpers, or AUTH_FILES for the files. */
  readonly order: () => readonly string[]
  readonly ask: AskHelper
  readonly log: Log
}

export interface FoundCredentials {
  readonly credentials: Credentials
  /** The file and the key, or the helper. */
  readonly source: string
}

/** Credentials that this host keeps, for one pull. */
export interface AuthLookup {
  /** Differs where what was given for this pull alone does. */
  readonly key: string
  /** Throws failed-precondition for a file with a mistake, RegistryFailure for a helper that fails. */
  find(endpoint: RegistryEndpoint, signal: AbortSignal): Promise<FoundCredentials | undefined>
}

export interface AuthSources {
  /** Takes what a credential provider has left for a pull of the image (a name without tag) by a pod of the namespace. */
  open(image: string, namespace: string): AuthLookup
  /** Where `find` would look, the first first, up to what is there for certain. Runs no helper and takes nothing away. */
  describe(endpoint: RegistryEndpoint, image: string, namespace: string): readonly string[]
}

/** In the usual places: the system's, podman's for root, the home directory's. */
export const defaultAuthFiles = (): readonly string[] => [
  '/etc/containers/auth.json',
  '/run/containers/0/auth.json',
  join(homedir(), '.config/containers/auth.json'),
  join(homedir(), '.docker/config.json'),
]

/** One place where credentials may be. */
interface Candidate {
  readonly source: string
  /** Whether it has some; nobody knows what a helper has. */
  readonly isSure: boolean
  get(signal: AbortSignal): Promise<Credentials | undefined> | Credentials | undefined
}

export function createAuthSources(options: AuthSourcesOptions): AuthSources {
  const { namespacedDirectory, log } = options
  const files = new ParsedFiles(parseAuthFile)

  function* inFiles(place: AuthPlace): Generator<Candidate> {
    for (const path of options.files) {
      const content = files.read(path)
      if (content !== undefined) yield* inFile({ path, content }, place, options.ask)
    }
  }

  function* candidates(place: AuthPlace, own: NamedFile | undefined): Generator<Candidate> {
    if (own !== undefined) yield* inFile(own, place, options.ask)
    for (const each of options.order()) {
      if (each === AUTH_FILES) yield* inFiles(place)
      else yield helperOf(each, place.host, 'credential-helpers in registries.conf', options.ask)
    }
  }

  const namespacedFile = (image: string, namespace: string): string | undefined => {
    // What would lead out of the directory is no namespace.
    if (namespacedDirectory === undefined || !/^[a-z0-9][a-z0-9-]*$/.test(namespace)) return undefined
    return join(namespacedDirectory, `${namespace}-${createHash('sha256').update(image).digest('hex')}.json`)
  }

  return {
    open(image, namespace) {
      const path = namespacedFile(image, namespace)
      const text = path === undefined ? undefined : textOf(path)
      if (path !== undefined && text !== undefined) remove(path, log)
      return {
        key: text === undefined ? '' : createHash('sha256').update(text).digest('hex'),
        async find(endpoint, signal) {
          for (const candidate of candidates(authPlace(endpoint), parsed(path, text))) {
            const credentials = await candidate.get(signal)
            if (credentials !== undefined) return { credentials, source: candidate.source }
          }
          return undefined
        },
      }
    },
    describe(endpoint, image, namespace) {
      const path = namespacedFile(image, namespace)
      const own = parsed(path, path === undefined ? undefined : textOf(path))
      const sources: string[] = []
      for (const { source, isSure } of candidates(authPlace(endpoint), own)) {
        sources.push(source)
        if (isSure) break
      }
      return sources
    },
  }
}

interface NamedFile {
  readonly path: string
  readonly content: AuthFile
}

const parsed = (path: string | undefined, text: string | undefined): NamedFile | undefined =>
  path === undefined || text === undefined ? undefined : { path, content: parseAuthFile(text, path) }

/** A registry's own helper, else the nearest entry, else the helper that has all others. */
function* inFile({ path, content }: NamedFile, place: AuthPlace, ask: AskHelper): Generator<Candidate> {
  const helper = content.helpers.get(place.host)
  if (helper !== undefined) {
    yield helperOf(helper.name, helper.server, `credHelpers in ${path}`, ask)
    return
  }
  const key = nearestKey(content, place)
  if (key !== undefined) {
    yield { source: `${path}, "${key}"`, isSure: true, get: () => content.auths.get(key) }
    return
  }
  if (content.store === '') return
  const server = place.host === 'docker.io' ? 'https://index.docker.io/v1/' : place.host
  yield helperOf(content.store, server, `credsStore in ${path}`, ask)
}

const helperOf = (name: string, server: string, by: string, ask: AskHelper): Candidate => ({
  source: `docker-credential-${name}, by ${by}`,
  isSure: false,
  get: (signal) => ask(name, server, signal),
})

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (thrown) {
    if (isAbsence(thrown)) return undefined
    throw unreadable(path, thrown)
  }
}

/** It was given for one pull. */
function remove(path: string, log: Log): void {
  try {
    rmSync(path)
  } catch (thrown) {
    log.warn(
      { file: path, err: describeError(thrown) },
      'credentials that were given for one pull cannot be removed',
    )
  }
}
