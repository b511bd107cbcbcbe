import { readFileSync, statfsSync } from 'node:fs'
import type { HandlerFeatures, HandlerSettings } from '#runtime/handler.ts'
import type { Command, Finished } from './command.ts'
import { findProgram } from './find-program.ts'

/** An OCI runtime as it is found on this host. */
export interface FoundHandler {
  readonly name: string
  /** Absolute; undefined where it is not installed. */
  readonly path: string | undefined
  /** The first line of `--version`. */
  readonly version: string
  /** Why it cannot run containers here; '' when it can. */
  readonly problem: string
  /** What its `features` command reports; undefined where it has none. */
  readonly features: OciFeatures | undefined
  /** Whether it was built with CRIU, and that is installed. */
  readonly checkpoints: boolean
  /** Whether it was built with seccomp; one that does not say is taken to be. */
  readonly seccomp: boolean
}

/** What an OCI runtime calls itself: crun, runc, runsc; wrappers and renamed ones too. */
export const programOf = (version: string): string => version.split(' ', 1)[0] ?? ''

/** The parts of features.md of the OCI runtime specification that are looked at. */
export interface OciFeatures {
  readonly mountOptions?: readonly string[]
  readonly annotations?: { readonly [name: string]: string }
  readonly linux?: {
    readonly namespaces?: readonly string[]
    readonly seccomp?: { readonly enabled?: boolean }
    readonly mountExtensions?: { readonly idmap?: { readonly enabled?: boolean } }
    readonly netDevices?: { readonly enabled?: boolean }
    readonly intelRdt?: { readonly schemata?: boolean; readonly monitoring?: boolean }
  }
}

/** What a runtime says that it can; of one that says nothing, what its version is known to do. */
export function handlerFeatures({ features, version, checkpoints, seccomp }: FoundHandler): HandlerFeatures {
  if (features === undefined)
    return { ...silentFeatures(version), mountOptions: undefined, checkpoints, seccomp }
  return {
    recursiveReadonlyMounts: features.mountOptions?.includes('rro') === true,
    userNamespaces: features.linux?.namespaces?.includes('user') === true,
    idmapMounts: features.linux?.mountExtensions?.idmap?.enabled === true,
    netDevices: features.linux?.netDevices?.enabled === true,
    rdtSchemata: features.linux?.intelRdt?.schemata === true,
    rdtMonitoring: features.linux?.intelRdt?.monitoring === true,
    seccomp,
    mountOptions: features.mountOptions,
    checkpoints,
  }
}

/**
 * Debian 12's crun 1.8.1 has no `features` command, and does all of it: tried by test/integration/handler-features.root.test.ts.
 * Of an older one nothing is known. (Debian 12's runc 1.1.5 ignores the mapping of a mount without a word: a runtime
 * must be known to do it.)
 */
function silentFeatures(version: string): Omit<HandlerFeatures, 'mountOptions' | 'seccomp' | 'checkpoints'> {
  const [, major = 0, minor = 0] = /^crun version (\d+)\.(\d+)/.exec(version) ?? []
  const knows = Number(major) > 1 || (Number(major) === 1 && Number(minor) >= 8)
  return {
    ...{ recursiveReadonlyMounts: knows, userNamespaces: knows, idmapMounts: knows },
    ...{ netDevices: false, rdtSchemata: false, rdtMonitoring: false },
  }
}

const TIMEOUT_MS = 10_000

/** Looks at every configured handler, and asks each runtime for its version and features. */
export function findHandlers(
  configured: { readonly [name: string]: Pick<HandlerSettings, 'path'> },
  run: (command: Command) => Promise<Finished>,
): Promise<readonly FoundHandler[]> {
  return Promise.all(
    Object.entries(configured).map(async ([name, { path: program }]) => {
      const path = findProgram(program)
      if (path === undefined) {
        const problem = `${program} is not installed: install it or set runtime.handlers.${name}.path`
        return { name, path, version: '', problem, features: undefined, checkpoints: false, seccomp: true }
      }
      const [version, features] = await Promise.all([
        answerOf(run, [path, '--version']),
        answerOf(run, [path, 'features']),
      ])
      const firstLine = version?.split('\n')[0] ?? ''
      const problem = version === undefined ? `${path} --version fails` : problemOnHost(firstLine)
      const found = { name, path, version: firstLine, problem, features: parseFeatures(features) }
      return {
        ...found,
        checkpoints: hasCriu(version ?? '', found.features) && findProgram('criu') !== undefined,
        seccomp: hasSeccomp(version ?? '', found.features),
      }
    }),
  )
}

/** crun says so among its options, and newer runtimes as an annotation of their features. */
export const hasCriu = (version: string, features: OciFeatures | undefined): boolean =>
  version.includes('+CRIU') ||
  Object.entries(features?.annotations ?? {}).some(
    ([name, value]) => name.endsWith('.checkpoint.enabled') && value === 'true',
  )

/**
 * The default handler and why. `wanted` is a name, or `auto`: the first that can run with this host's cgroups.
 * A handler that was named is the default even where it has a problem: Status tells.
 */
export function chooseDefault(
  wanted: string,
  handlers: readonly FoundHandler[],
): { readonly name: string; readonly reason: string; readonly problem: string } {
  if (wanted !== 'auto') {
    const named = handlers.find(({ name }) => name === wanted)
    return {
      name: wanted,
      reason: 'it is configured as default_handler',
      problem: named?.problem ?? 'it is not configured',
    }
  }
  const usable = handlers.find(({ problem }) => problem === '')
  const passedOver = handlers
    .slice(0, usable === undefined ? handlers.length : handlers.indexOf(usable))
    .map(({ name, problem }) => `${name}: ${problem}`)
    .join('; ')
  if (usable === undefined)
    return { name: handlers[0]?.name ?? 'crun', reason: passedOver, problem: passedOver }
  const reason =
    passedOver === ''
      ? 'it is the first that can run here'
      : `it is the first that can run here (${passedOver})`
  return { name: usable.name, reason, problem: '' }
}

/** From features, or from what crun and runc print with their version. */
export function hasSeccomp(version: string, features: OciFeatures | undefined): boolean {
  const told = features?.linux?.seccomp?.enabled
  if (told !== undefined) return told
  if (version.startsWith('crun ')) return version.includes('+SECCOMP')
  return !version.startsWith('runc ') || version.includes('libseccomp:')
}

async function answerOf(
  run: (command: Command) => Promise<Finished>,
  argv: readonly [string, ...string[]],
): Promise<string | undefined> {
  try {
    const { exitCode, stdout } = await run({ argv, timeoutMs: TIMEOUT_MS })
    return exitCode === 0 ? stdout.toString() : undefined
  } catch {
    return undefined // It does not run at all.
  }
}

/** crun refuses a host where a version 2 hierarchy has controllers beside those of version 1. */
export function problemOnHost(version: string, hybrid: boolean = isHybrid()): string {
  if (!version.startsWith('crun') || !hybrid) return ''
  return 'crun does not support hybrid cgroups (controllers of both versions are mounted below /sys/fs/cgroup)'
}

const TMPFS_MAGIC = 0x01021994
const CGROUP2_MAGIC = 0x63677270

function isHybrid(): boolean {
  try {
    return (
      statfsSync('/sys/fs/cgroup').type === TMPFS_MAGIC &&
      statfsSync('/sys/fs/cgroup/unified').type === CGROUP2_MAGIC &&
      readFileSync('/sys/fs/cgroup/unified/cgroup.controllers', 'utf8').trim() !== ''
    )
  } catch {
    return false
  }
}

function parseFeatures(text: string | undefined): OciFeatures | undefined {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as OciFeatures)
  } catch {
    return undefined
  }
}
