import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CriError } from '#lib/errors.ts'
import type { AppArmor } from '#runtime/apparmor-port.ts'
import { OWN_PROFILE, ownAppArmorProfile } from './apparmor-profile.ts'
import type { Command, Finished } from './command.ts'
import { findProgram } from './find-program.ts'

export interface AppArmorOptions {
  /** False where the configuration forbids it. */
  readonly isWanted: boolean
  readonly run: (command: Command) => Promise<Finished>
  /** For tests; the host's own where they are not given. */
  readonly profilesFile?: string
  readonly enabledFile?: string
  readonly findParser?: () => string | undefined
}

const TIMEOUT_MS = 60_000
const INCLUDES = '/etc/apparmor.d'

/** AppArmor of this host, through its securityfs and apparmor_parser. */
export function createAppArmor(options: AppArmorOptions): AppArmor {
  const { profilesFile = '/sys/kernel/security/apparmor/profiles', run } = options
  const findParser = options.findParser ?? (() => findProgram('apparmor_parser', PARSER_PATH))
  /** The first load, which replaces what an earlier version has left, and each where somebody has unloaded it since. */
  let loading: Promise<void> | undefined
  let isCurrent = false

  const isLoaded = (profile: string): boolean => loadedProfiles(profilesFile).includes(profile)

  async function load(parser: string): Promise<void> {
    const { exitCode, stderr } = await run({
      argv: [parser, '--replace', '--skip-cache'],
      stdin: ownAppArmorProfile({
        has: (name) => existsSync(join(INCLUDES, name)),
        daemonProfile: ownConfinement(),
      }),
      timeoutMs: TIMEOUT_MS,
    })
    if (exitCode === 0) return
    throw new CriError(
      'failed-precondition',
      `AppArmor profile ${OWN_PROFILE} can't be loaded: ${parser} says: ${stderr || `exit code ${exitCode}`}`,
    )
  }

  return {
    // Without securityfs nothing can be loaded, as inside of many containers.
    enabled: options.isWanted && apparmorEnabled(options.enabledFile) && existsSync(profilesFile),

    isLoaded: async (profile) => isLoaded(profile),

    async loadDefault() {
      if (isCurrent && isLoaded(OWN_PROFILE)) return OWN_PROFILE
      const parser = findParser()
      if (parser === undefined) return isLoaded(OWN_PROFILE) ? OWN_PROFILE : undefined
      loading ??= load(parser).finally(() => {
        loading = undefined
      })
      await loading
      isCurrent = true
      return OWN_PROFILE
    },
  }
}

/** It lies where users' PATH does not always lead. */
const PARSER_PATH = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`

/** Whether the kernel confines by it. */
function apparmorEnabled(file = '/sys/module/apparmor/parameters/enabled'): boolean {
  try {
    return readFileSync(file, 'utf8').startsWith('Y')
  } catch {
    return false // The kernel was built without.
  }
}

/** The names of lines such as `cri-ts-default (enforce)`. */
const loadedProfiles = (file: string): readonly string[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line) => line.match(/^(.+) \([a-z]+\)$/)?.[1] ?? [])

/** `cri-ts (enforce)` in the kernel's words; a daemon that is not confined may be told in any case as unconfined. */
function ownConfinement(): string {
  try {
    return readFileSync('/proc/self/attr/current', 'utf8').trim().split(' ')[0] || 'unconfined'
  } catch {
    return 'unconfined'
  }
}
