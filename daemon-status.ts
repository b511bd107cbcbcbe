import type { Config } from '#config/config.ts'
import type { RuntimeStatus } from '#cri/runtime-service/runtime-status.ts'
import { findProgram } from '#linux/find-program.ts'
import { chooseDefault, type FoundHandler, handlerFeatures } from '#linux/runtime-handlers.ts'
import type { HostFacts, PodNetwork } from '#runtime/ports.ts'

export interface DaemonStatusInput {
  readonly config: Config
  readonly version: string
  readonly host: HostFacts
  readonly handlers: readonly FoundHandler[]
  readonly network: Pick<PodNetwork, 'status'>
  readonly userNamespaceProblem: string
  readonly records: { readonly setAside: () => readonly string[] }
}

/** What the daemon says of itself and of this host, for Version, Status and RuntimeConfig. */
export function daemonStatus(input: DaemonStatusInput): RuntimeStatus {
  const { config, version, host, handlers, network, records, userNamespaceProblem } = input
  const chosen = chooseDefault(config.runtime.defaultHandler, handlers)
  return {
    version,
    cgroupDriver: host.cgroupDriver,

    runtime() {
      if (findProgram(config.runtime.monitor) === undefined) {
        const message = `the monitor ${config.runtime.monitor} is not installed: install conmon or set runtime.monitor`
        return { ready: false, reason: 'MonitorMissing', message }
      }
      if (chosen.problem !== '') {
        const message = `the default runtime handler ${chosen.name} can't run containers: ${chosen.problem}`
        return { ready: false, reason: 'RuntimeHandlerUnusable', message }
      }
      return {
        ready: true,
        reason: 'Ready',
        message: `the default runtime handler is ${chosen.name}: ${chosen.reason}`,
      }
    },

    network: () => network.status(),

    handlers: () =>
      handlers
        .filter(({ path }) => path !== undefined)
        .map((handler) => ({
          name: handler.name,
          isDefault: handler.name === chosen.name,
          recursiveReadOnlyMounts: handlerFeatures(handler).recursiveReadonlyMounts,
          userNamespaces: userNamespaceProblem === '' && handlerFeatures(handler).userNamespaces,
        })),

    info: () => ({
      config,
      defaultHandler: chosen,
      handlers: Object.fromEntries(handlers.map(({ name, ...found }) => [name, found])),
      host,
      versions: { node: process.versions.node },
      userNamespaces: { problem: userNamespaceProblem },
      recordsSetAside: records.setAside(),
    }),
  }
}
