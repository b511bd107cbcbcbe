import type { ContainerRecord, Device } from './container/record.ts'
import type {
  DnsConfig,
  PodMetadata,
  PortMapping,
  Process,
  SandboxRecord,
  StringMap,
} from './pod-sandbox/record.ts'

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

/** Where a pod's namespaces are pinned; undefined where it uses the host's. */
export interface NamespacePaths {
  readonly network: string | undefined
  readonly ipc: string | undefined
  readonly uts: string | undefined
}

export interface NamespaceRequest {
  readonly network: boolean
  readonly ipc: boolean
  readonly uts: boolean
  readonly hostname: string
  /** `net.*`, `kernel.shm*` …: written inside the new namespaces. */
  readonly sysctls: StringMap
}

export interface Namespaces {
  /** Makes and pins them; loopback is up. */
  create(sandboxId: string, request: NamespaceRequest): Promise<NamespacePaths>
  /** Where they are pinned; a path that is no longer a namespace (a reboot) is undefined. */
  find(sandboxId: string): Promise<NamespacePaths>
  remove(sandboxId: string): Promise<void>
}

export interface AttachRequest {
  readonly sandboxId: string
  readonly netnsPath: string
  readonly pod: PodMetadata
  readonly portMappings: readonly PortMapping[]
  readonly dns: DnsConfig | undefined
  readonly annotations: StringMap
  readonly cgroupParent: string
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
}

/** The files that every container of a pod mounts: see SandboxPaths. */
export interface SandboxFiles {
  create(sandboxId: string, request: SandboxFilesRequest): Promise<void>
  makeLogDirectory(path: string): Promise<void>
  remove(sandboxId: string): Promise<void>
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
}

/** Images as containers see them. */
export interface ImageRootfs {
  /** The local image of a reference (id, digest or name); throws not-found, saying to pull it. */
  resolve(reference: string): Promise<LocalImage>
  /** Mounts a writable root file system of the image for the container, and answers its path. */
  mount(containerId: string, imageId: string): Promise<string>
  /** Keeps what the container wrote. */
  unmount(containerId: string): Promise<void>
  /** Unmounts it and deletes what the container wrote. */
  remove(containerId: string): Promise<void>
  /** The ids of the containers that have one. */
  leftovers(): Promise<readonly string[]>
  /** A file of the mounted root file system with links kept inside; undefined when there is none. At most 1 MiB. */
  readFile(containerId: string, path: string): Promise<string | undefined>
}

export interface MonitorRequest {
  readonly id: string
  readonly handler: string
  /** config.json of the OCI runtime specification. */
  readonly ociSpec: object
  /** The same as `linux.cgroupsPath` in it. */
  readonly cgroupsPath: string
  readonly tty: boolean
  readonly stdin: boolean
  readonly stdinOnce: boolean
  /** '' for none. */
  readonly logFile: string
}

/** What the host says about a container now, from its exit file, its processes and its cgroup. */
export type Observation =
  | { readonly seen: 'alive' }
  | { readonly seen: 'exited'; readonly atNs: string; readonly exitCode: number; readonly oomKilled: boolean }
  /** The init is gone, its monitor still drains the output: the exit file is on its way. */
  | { readonly seen: 'exiting' }
  | { readonly seen: 'nothing' }

export interface ExecRequest {
  readonly id: string
  readonly handler: string
  /** `process` of the OCI runtime specification. */
  readonly ociProcess: object
  readonly timeoutMs: number | undefined
  /** Each stream is cut at this size; what follows is read and discarded. */
  readonly outputLimitBytes: number
}

export interface ExecResult {
  readonly exitCode: number
  readonly stdout: Buffer
  readonly stderr: Buffer
  readonly timedOut: boolean
}

/**
 * One process per container that outlives the daemon, owns its stdio and log, and leaves its exit code behind.
 * Its pid, its files and the OCI bundle are its own affair.
 */
export interface ContainerMonitor {
  /** Creates the container through its OCI runtime; its init waits to be started. */
  create(request: MonitorRequest): Promise<{ readonly init: Process; readonly monitor: Process }>
  start(id: string, handler: string): Promise<void>
  /** Sends a signal to the init, or with `all` to every process in the container's cgroup. False when it is gone. */
  signal(container: MonitoredContainer, signal: number, all: boolean): Promise<boolean>
  /** `process` of the config.json that the container was created with. */
  ociProcess(id: string): Promise<object>
  exec(request: ExecRequest): Promise<ExecResult>
  update(id: string, handler: string, resources: object): Promise<void>
  reopenLog(id: string, logFile: string): Promise<void>
  /** Resolves when the container may have exited: there is something new to observe. */
  ended(container: MonitoredContainer): Promise<void>
  observe(container: MonitoredContainer): Promise<Observation>
  /** Whether the init of a created container has been released: asks its OCI runtime. */
  hasStarted(id: string, handler: string): Promise<boolean>
  /** Takes over a running container from an earlier daemon: its execs under way, which nobody waits for, are killed. */
  adopt(id: string): Promise<void>
  /** Deletes the OCI container and its cgroup after an exit; its exit file stays. */
  release(id: string, handler: string): Promise<void>
  /** Kills whatever still acts for this id, and leaves nothing of it. */
  remove(id: string, handler: string): Promise<void>
  /** The ids of all that is left of containers, whoever made them. */
  leftovers(): Promise<readonly string[]>
}

export interface MonitoredContainer {
  readonly id: string
  readonly handler: string
  readonly init: Process
  readonly monitor: Process
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
  /** Follows links to a mount's source; makes a missing one a directory (0755), as kubelet's users expect. */
  mountSource(path: string): Promise<{ readonly path: string; readonly kind: 'directory' | 'file' | 'other' }>
  /** Type and numbers of a device node, or of each in a directory. */
  devices(device: Device): Promise<readonly HostDevice[]>
  /** All device nodes under /dev but ptys, mqueue, shm and consoles: what a privileged container gets. */
  allDevices(): Promise<readonly HostDevice[]>
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
  readonly files: SandboxFiles
  readonly podCgroups: PodCgroups
  readonly rootfs: ImageRootfs
  readonly monitor: ContainerMonitor
  readonly hostPaths: HostPaths
}
