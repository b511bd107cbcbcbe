import type { IdMappings } from '#lib/id-mappings.ts'
import type {
  NamespaceMode,
  Process,
  SecurityProfile,
  SelinuxOptions,
  StringMap,
} from '../pod-sandbox/record.ts'

export interface ContainerMount {
  readonly containerPath: string
  readonly hostPath: string
  readonly readonly: boolean
  /** Read-only with all that is mounted below the source; only with `readonly` and private propagation. */
  readonly recursiveReadonly?: boolean
  readonly propagation: 'private' | 'host-to-container' | 'bidirectional'
  /** Of mount(8), beside those that the fields above stand for: noexec, rnosuid, noatime … */
  readonly options?: readonly string[]
  /** Whether the source and all below it is to be labelled for the container, where SELinux is on. */
  readonly selinuxRelabel?: boolean
  /** The ids that its files have for who is in a user namespace of these mappings; left out: those of the host. */
  readonly idMappings?: IdMappings
  /** Of an image volume, which has no host path. */
  readonly image?: {
    readonly reference: string
    readonly userSpecifiedImage: string
    /** A directory of it; '' for all of it. */
    readonly subPath: string
  }
}

/** What the image of an image volume was when the container was made. */
export interface ImageVolume {
  readonly containerPath: string
  readonly imageId: string
  /** `NAME@sha256:…` where the image has one, else its id. */
  readonly digest: string
  /** Nothing is run from it: it is an artifact. */
  readonly isNoexec?: boolean
}

export interface Device {
  readonly containerPath: string
  readonly hostPath: string
  /** A part of rwm: read, write, mknod. */
  readonly permissions: string
}

/** Zero means "not given", as on the wire. */
export interface Resources {
  readonly cpuPeriodUs: number
  readonly cpuQuotaUs: number
  readonly cpuShares: number
  readonly memoryLimitBytes: number
  readonly memorySwapLimitBytes: number
  readonly oomScoreAdj: number
  readonly cpusetCpus: string
  readonly cpusetMems: string
  readonly hugepageLimits: readonly { readonly pageSize: string; readonly limitBytes: number }[]
  readonly unified: StringMap
}

/** Who a container runs as, before the names are looked up in its image. */
export interface UserRequest {
  /** A number or a name, with an optional `:group`; '' is the image's user. */
  readonly user: string
  readonly group: number | undefined
  readonly supplementalGroups: readonly number[]
  /** SupplementalGroupsPolicy Strict: the memberships in the image's /etc/group do not count. */
  readonly strictGroups?: boolean
}

export interface ContainerSpec {
  readonly sandboxId: string
  readonly name: string
  readonly attempt: number
  /** As kubelet gave it in the image spec, and what ContainerStatus.image echoes. */
  readonly imageReference: string
  readonly userSpecifiedImage: string
  readonly command: readonly string[]
  readonly args: readonly string[]
  readonly workingDirectory: string
  readonly env: readonly { readonly name: string; readonly value: string }[]
  readonly mounts: readonly ContainerMount[]
  readonly devices: readonly Device[]
  /** vendor.com/class=device. */
  readonly cdiDevices?: readonly string[]
  readonly labels: StringMap
  readonly annotations: StringMap
  /** Relative to the sandbox's log directory; '' for no log. */
  readonly logPath: string
  readonly stdin: boolean
  readonly stdinOnce: boolean
  readonly tty: boolean
  /** `SIGTERM`, `SIGRTMIN+3`; '' for the image's, else SIGTERM. */
  readonly stopSignal: string
  readonly resources: Resources
  readonly security: {
    readonly user: UserRequest
    readonly privileged: boolean
    readonly readonlyRootfs: boolean
    readonly noNewPrivileges: boolean
    readonly addCapabilities: readonly string[]
    readonly dropCapabilities: readonly string[]
    /** Kept by programs of any user. */
    readonly ambientCapabilities?: readonly string[]
    readonly seccomp?: SecurityProfile
    readonly apparmor?: SecurityProfile
    /** Parts that are left out are the pod's. */
    readonly selinux?: SelinuxOptions
    readonly maskedPaths: readonly string[]
    readonly readonlyPaths: readonly string[]
    readonly namespaces: {
      readonly pid: NamespaceMode
      /** The container whose PID namespace is joined, where `pid` is 'target'. */
      readonly targetId: string
      /** The same as the sandbox's. */
      readonly user?: IdMappings
    }
  }
}

export interface ResolvedUser {
  readonly uid: number
  readonly gid: number
  readonly additionalGids: readonly number[]
}

export type ExitReason = 'Completed' | 'Error' | 'OOMKilled' | 'StartError' | 'Unknown'

/**
 *   creating ──▶ created ──started──▶ running ──exited──▶ exited
 *       │           └──────────────exited──────────────────▲
 *       └──▶ (torn down)
 */
export type ContainerState =
  | { readonly phase: 'creating' }
  | { readonly phase: 'created'; readonly init: Process; readonly monitor: Process }
  | {
      readonly phase: 'running'
      readonly init: Process
      readonly monitor: Process
      readonly startedAtNs: string
    }
  | {
      readonly phase: 'exited'
      readonly startedAtNs: string | undefined
      readonly finishedAtNs: string
      readonly exitCode: number
      readonly reason: ExitReason
      /** Why, where the exit code alone does not tell. */
      readonly message: string
    }

export interface ContainerRecord {
  readonly id: string
  readonly spec: ContainerSpec
  readonly handler: string
  /** The image's id, as PullImage and ListImages answer it. */
  readonly imageId: string
  /** `NAME@sha256:…` that it was pulled as; left out where it was not, or before this was kept. */
  readonly imageDigest?: string
  /** None before there were image volumes. */
  readonly imageVolumes?: readonly ImageVolume[]
  readonly user: ResolvedUser
  /** Absolute; '' for no log. */
  readonly logFile: string
  readonly stopSignal: string
  /** Nanoseconds since 1970, in decimal. */
  readonly createdAtNs: string
  readonly state: ContainerState
}
