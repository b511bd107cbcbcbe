import { createPodNetwork } from '#cni/pod-network.ts'
import type { Config } from '#config/config.ts'
import { createCheckpointArchives } from '#image/checkpoint-archives.ts'
import type { Images } from '#image/open-images.ts'
import type { Log } from '#lib/log.ts'
import { createAppArmor } from '#linux/apparmor.ts'
import { AttachSockets } from '#linux/attach-sockets.ts'
import { CdiDirectories } from '#linux/cdi-directories.ts'
import { readHierarchies } from '#linux/cgroups.ts'
import type { Command, Finished } from '#linux/command.ts'
import { ConmonMonitor } from '#linux/container-monitor.ts'
import { findProgram } from '#linux/find-program.ts'
import { createHookDirectories } from '#linux/hook-directories.ts'
import { WorkerHostPaths } from '#linux/host-paths.ts'
import { createMappedMounts } from '#linux/mapped-mounts.ts'
import { createMonitorCgroups } from '#linux/monitor-cgroup.ts'
import { createNamespaces } from '#linux/namespaces.ts'
import { createObjectLocks } from '#linux/object-lock.ts'
import { createOciRuntime } from '#linux/oci-runtime.ts'
import { createPodCgroups } from '#linux/pod-cgroups.ts'
import { createPodPorts } from '#linux/pod-ports.ts'
import type { ProcessWatcher } from '#linux/process-watcher.ts'
import { Relabels } from '#linux/relabels.ts'
import { createResourceClasses } from '#linux/resource-classes.ts'
import { type FoundHandler, programOf } from '#linux/runtime-handlers.ts'
import { createSandboxFiles } from '#linux/sandbox-files.ts'
import { createSelinux } from '#linux/selinux.ts'
import { createUsageCounters } from '#linux/usage-counters.ts'
import type { HostFacts, RuntimePorts } from '#runtime/ports.ts'
import type { Paths } from '#store/paths.ts'
import type { RecordStore } from '#store/records.ts'

export interface PortsInput {
  readonly config: Config
  readonly paths: Paths
  readonly watcher: ProcessWatcher
  readonly run: (command: Command) => Promise<Finished>
  readonly handlers: readonly FoundHandler[]
  readonly images: Images
  readonly log: Log
  readonly host: HostFacts
  /** Ends what is opened here. */
  readonly stack: AsyncDisposableStack
  readonly records: RecordStore
}

/** The runtime's ports on this host: koffi, conmon, CNI, SQLite. */
export function openPorts({
  config,
  paths,
  watcher,
  run,
  handlers,
  images,
  log,
  host,
  stack,
  records,
}: PortsInput) {
  const hierarchies = readHierarchies()
  const locks = createObjectLocks(paths.locks)
  const settings = config.runtime.handlers
  const runtimes = handlers.flatMap(({ name, path, version }) => {
    if (path === undefined) return []
    const options = {
      ...{ handler: name, path, program: programOf(version) },
      stateDirectory: settings[name]?.root ?? paths.ociRuntime(name),
      systemdCgroup: host.cgroupDriver === 'systemd',
      createTimeoutMs: settings[name]?.createTimeoutMs ?? 0,
      monitorCgroup: settings[name]?.monitorCgroup,
    }
    return [[name, createOciRuntime(options, locks, run)] as const]
  })
  const conmonPath = findProgram(config.runtime.monitor) ?? config.runtime.monitor
  const monitor = new ConmonMonitor({
    conmonPath,
    paths: { home: paths.container, exits: paths.exits, containers: paths.containers },
    runtimes: new Map(runtimes),
    ...{ hierarchies, locks, watcher },
    attachments: stack.use(new AttachSockets()),
    monitorCgroups: stack.use(
      createMonitorCgroups(
        hierarchies,
        Object.values(settings).map(({ monitorCgroup }) => monitorCgroup),
      ),
    ),
  })
  const network = createPodNetwork({
    ...{ confDir: config.cni.confDir, binDirs: config.cni.binDirs, gcNetworks: config.cni.gc },
    cacheDir: paths.networks,
    run,
    lock: (id) => locks.hold(id),
    log,
  })
  const hostPaths = stack.use(new WorkerHostPaths())
  return {
    sandboxRecords: records.sandboxes,
    containerRecords: records.containers,
    namespaces: createNamespaces(paths.namespaces, { watcher, lock: locks.hold }),
    network,
    podPorts: createPodPorts(),
    files: createSandboxFiles(paths.sandboxes),
    podCgroups: createPodCgroups(hierarchies, paths.podCgroups),
    rootfs: images.rootfs,
    imageVolumes: images.volumes,
    checkpoints: createCheckpointArchives({
      ...{ directory: paths.checkpoints, store: images, run },
      lock: locks.hold,
    }),
    mappedMounts: createMappedMounts({
      directory: paths.mappedMounts,
      ...{ watcher, lock: locks.hold },
      copy: (...copy) => hostPaths.mountMappedCopy(...copy),
    }),
    monitor: stack.use(monitor),
    locks,
    hooks: createHookDirectories(config.runtime.hooksDirs),
    cdi: new CdiDirectories(config.runtime.cdiSpecDirs),
    classes: createResourceClasses({ blockIoConfig: config.runtime.blockioConfig }),
    usage: createUsageCounters(hierarchies),
    apparmor: createAppArmor({ isWanted: !config.runtime.disableApparmor, run }),
    selinux: createSelinux({ isWanted: config.runtime.enableSelinux, relabels: stack.use(new Relabels()) }),
    hostPaths,
  } satisfies RuntimePorts
}
