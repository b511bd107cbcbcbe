import type { IdMappings } from '#lib/id-mappings.ts'
import type { AppArmor } from './apparmor-port.ts'
import type { CheckpointArchives } from './checkpoint-port.ts'
import type { ContainerRecord, Device } from './container/record.ts'
import type { ImageVolumes } from './image-volumes-port.ts'
import type { CdiDevices, HookDirectories } from './injection-port.ts'
import type { MappedMounts } from './mapped-mounts-port.ts'
import type { ContainerMonitor } from './monitor-port.ts'
import type { Namespaces } from './namespaces-port.ts'
import type { PodPorts } from './pod-ports-port.ts'
import type { DnsConfig, PodMetadata, PortMapping, SandboxRecord, StringMap } from './pod-sandbox/record.ts'
import type { ResourceClasses } from './resource-classes-port.ts'
import type { ImageRootfs } from './rootfs-port.ts'
import type { Selinux } from './selinux-port.ts'
import type { UsageCounters } from './usage-port.ts'

/**
 * What the runtime asks of the host. Every `remove`, `detach` and `unmount` succeeds
 * when there is nothing left to undo, so that teardown can be repeated until it is done.
 */
export interface Records<Item extends { readonly id: string }> {
  put(record: Item): Promise<void>
  remove(id: string): Promise<void>
  /** Every record that can be read; one that cannot is set aside and reported. */
  all(): Promise<readonly Item[]>
}
export type SandboxRecords = Records<SandboxRecord>
export type ContainerRecords = Records<ContainerRecord>

export interface AttachRequest {
  readonly sandboxId: string
  readonly netnsPath: string
  readonly pod: PodMetadata
  readonly portMappings: readonly PortMapping[]
  readonly dns: DnsConfig | undefined
  readonly annotations: StringMap
  readonly cgroupParent: string
  /** Where the network configuration lies; undefined: where all pods have it from. */
  readonly confDir?: string | undefined
}

export type NetworkStatus =
  | { readonly ready: true }
  | { readonly ready: false; readonly reason: string; readonly message: string }

/** The pod network: CNI plugins. */
export interface PodNetwork {
  /** Attaches the namespace, and answers the pod's addresses, primary first. */
  attach(request: AttachRequest): Promise<readonly string[]>
  /** Works from what `attach` cached, also after the namespace (undefined) or the configuration is gone. */
  detach(sandboxId: string, netnsPath: string | undefined): Promise<void>
  status(): Promise<NetworkStatus>
  /** The sandboxes that something is attached for, as far as `attach` and `detach` know. */
  leftovers(): Promise<readonly string[]>
  /** Where that is configured: tells plugins to give back what they hold for others than `validIds` and the leftovers. */
  collectGarbage(validIds: () => Iterable<string>): Promise<void>
}

export interface SandboxFilesRequest {
  /** '' is the host's own. */
  readonly hostname: string
  /** Undefined copies the host's resolv.conf. */
  readonly dns: DnsConfig | undefined
  /** Of /dev/shm; undefined where the pod uses the host's. */
  readonly shmSizeBytes: number | undefined
  /** Whether an empty root file system for the pod's init is wanted. */
  readonly initRootfs: boolean
  /** To whose root they belong: of the pod's user namespace; undefined where it has none. */
  readonly mappings?: IdMappings | undefined
  /** What they are labelled as; left out where SELinux is off. */
  readonly selinuxLabel?: string
}

/** The files that every container of a pod mounts: see SandboxPaths. */
export interface SandboxFiles {
  create(sandboxId: string, request: SandboxFilesRequest): Promise<void>
  remove(sandboxId: string): Promise<void>
  /** The sandboxes that files are left of. */
  leftovers(): readonly string[]
}

/** What an image says of how it is to be run (OCI image-spec, config.md). */
export interface ImageConfig {
  readonly entrypoint: readonly string[]
  readonly cmd: readonly string[]
  readonly env: readonly string[]
  readonly user: string
  readonly workingDirectory: string
  readonly stopSignal: string
  readonly volumes: readonly string[]
}

export interface LocalImage {
  /** `sha256:` and 64 digits: the digest of its config. */
  readonly id: string
  readonly config: ImageConfig
  /** `NAME@sha256:…`, where it was pulled by a name. */
  readonly digest?: string
  /** It is none, but files that can be mounted. */
  readonly isArtifact?: boolean
}

export interface PodUserNamespace {
  /** Where it is pinned. */
  readonly path: string
  readonly mappings: IdMappings
}

/** Programs that still act for an object after a crash of the daemon: they hold its lock. */
export interface ObjectLocks {
  /** Resolves when no program holds it any more; those left after a while are killed. */
  settle(id: string, patienceMs?: number): Promise<void>
  /** Kills the programs that hold it now. */
  kill(id: string): void
  remove(id: string): void
  /** The objects that a lock is left of. */
  leftovers(): readonly string[]
}

/** The cgroup that a pod's containers lie in, where kubelet has not made it. */
export interface PodCgroups {
  /** Makes it where it is missing, and remembers that. */
  ensure(sandboxId: string, cgroupParent: string): Promise<void>
  /** Removes what `ensure` made, as far as it is empty. */
  remove(sandboxId: string): Promise<void>
}

/** Foreign paths of the host, which may hang (NFS): touched under a deadline, off the main thread. */
export interface HostPaths {
  /** With its parents (0755); one that is there is left as it is. */
  makeLogDirectory(path: string): Promise<void>
  /** Follows links to a mount's source; makes a missing one a directory (0755), as kubelet's users expect. */
  mountSource(path: string, request?: MountSourceRequest): Promise<MountSource>
  /** Type and numbers of a device node, or of each in a directory. */
  devices(device: Device): Promise<readonly HostDevice[]>
  /** All device nodes under /dev but ptys, mqueue, shm and consoles: what a privileged container gets. */
  allDevices(): Promise<readonly HostDevice[]>
  /** The text of a file of at most 1 MiB. Throws invalid-argument, saying what is wrong with it, without its path. */
  readFile(path: string): Promise<string>
}

export interface MountSourceRequest {
  /** Whether the answer is to say how mounts below it propagate. */
  readonly propagates?: boolean
  /** A missing one is refused. */
  readonly mustExist?: boolean
  /** Whether the answer is to say its SELinux label. */
  readonly labelled?: boolean
}

/** Where a mount's source really is. */
export interface MountSource {
  /** Without links. */
  readonly path: string
  readonly kind: 'directory' | 'file' | 'other'
  /** What the mount that it lies on forbids. */
  readonly restrictions: readonly ('nosuid' | 'nodev' | 'noexec')[]
  /** How the mount that it lies on passes later mounts on (mount_namespaces(7)). */
  readonly propagation?: 'private' | 'slave' | 'shared'
  /** Undefined where it has none. */
  readonly selinuxLabel?: string | undefined
}

export interface HostDevice {
  readonly path: string
  readonly type: 'c' | 'b'
  readonly major: number
  readonly minor: number
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly permissions: string
}

/** What of the host decides how a container may be run. */
export interface HostFacts {
  readonly cgroupVersion: 1 | 2
  readonly cgroupDriver: 'systemd' | 'cgroupfs'
  /** What the daemon itself holds, CAP_…: a container cannot get more. */
  readonly capabilities: readonly string[]
  /** The lowest oom_score_adj that the daemon may set. */
  readonly minOomScoreAdj: number
  readonly nofileLimit: { readonly soft: number; readonly hard: number }
  readonly swapLimits: boolean
  readonly hugepageSizes: readonly string[]
  /** As Go names it: amd64, arm64 … */
  readonly architecture: string
  readonly kernel: readonly [major: number, minor: number]
  /** Whether the kernel has filters of system calls. */
  readonly seccomp: boolean
}

export interface Clock {
  /** Nanoseconds since 1970, in decimal. */
  nowNs(): string
}

/** All that the runtime acts through. */
export interface RuntimePorts {
  readonly sandboxRecords: SandboxRecords
  readonly containerRecords: ContainerRecords
  readonly namespaces: Namespaces
  readonly network: PodNetwork
  readonly podPorts: PodPorts
  readonly files: SandboxFiles
  readonly podCgroups: PodCgroups
  readonly rootfs: ImageRootfs
  readonly imageVolumes: ImageVolumes
  readonly mappedMounts: MappedMounts
  readonly monitor: ContainerMonitor
  readonly checkpoints: CheckpointArchives
  readonly hostPaths: HostPaths
  readonly apparmor: AppArmor
  readonly selinux: Selinux
  readonly locks: ObjectLocks
  readonly cdi: CdiDevices
  readonly classes: ResourceClasses
  readonly usage: UsageCounters
  readonly hooks: HookDirectories
}
