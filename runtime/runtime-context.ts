import type { Log } from '#lib/log.ts'
import type { ConfinementSettings } from './confinement.ts'
import type { ContainerDefaults } from './container-defaults.ts'
import type { RuntimeHandler } from './handler.ts'
import type { MountSettings } from './mount-settings.ts'
import type { HostFacts, RuntimePorts } from './ports.ts'

export interface RuntimeOptions {
  /** Where a pod's files lie on the host. */
  readonly sandboxPaths: (id: string) => {
    readonly resolvConf: string
    readonly hosts: string
    readonly hostname: string
    readonly shm: string
    readonly initRootfs: string
  }
  /** The program that reaps in a shared PID namespace; throws failed-precondition where the host has none. */
  readonly initPath: () => string
  readonly hostname: () => string
  readonly confinement: ConfinementSettings
  /** Throws failed-precondition for one that is not configured (any more). */
  readonly handler: (name: string) => RuntimeHandler
  readonly mounts: MountSettings
  readonly defaults: ContainerDefaults
  /** Why pods can't have user namespaces on this host; '' where they can. */
  readonly userNamespaceProblem: string
  /** Nanoseconds since 1970, in decimal. */
  readonly nowNs: () => string
}

/** What every part of the runtime is given. */
export interface RuntimeContext {
  readonly ports: RuntimePorts
  readonly host: HostFacts
  readonly options: RuntimeOptions
  readonly log: Log
}
