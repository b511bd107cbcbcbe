import type { IdMappings } from '#lib/id-mappings.ts'
import type { Resources } from '../container/record.ts'

/** Whose namespace of a kind a pod or container uses (api.proto, NamespaceMode). */
export type NamespaceMode = 'pod' | 'container' | 'node' | 'target'

export interface PodMetadata {
  readonly name: string
  readonly uid: string
  readonly namespace: string
  /** How often kubelet has made a sandbox for this pod before. */
  readonly attempt: number
}

export interface PortMapping {
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  readonly containerPort: number
  /** 0: not mapped; kubelet sends every port of the pod. */
  readonly hostPort: number
  /** '' or a wildcard address: every address of the host. */
  readonly hostIp: string
}

export interface DnsConfig {
  readonly servers: readonly string[]
  readonly searches: readonly string[]
  readonly options: readonly string[]
}

/** What kubelet reckons with for the whole pod; undefined where it says nothing. */
export interface PodResources {
  /** Beside what the containers use: of the pod's RuntimeClass. */
  readonly overhead: Resources | undefined
  /** Of all containers together. */
  readonly containers: Resources | undefined
}

/** What a process is to be confined by, of seccomp or of AppArmor (api.proto, SecurityProfile). */
export type SecurityProfile =
  | { readonly type: 'RuntimeDefault' | 'Unconfined' }
  /** The path of a seccomp profile, or the name of an AppArmor profile that is loaded. */
  | { readonly type: 'Localhost'; readonly reference: string }

/** The parts of an SELinux context that are asked for; '' is whatever the policy or the pod has. */
export interface SelinuxOptions {
  readonly user: string
  readonly role: string
  readonly type: string
  readonly level: string
}

/** SELinux contexts, `user:role:type:level`. */
export interface SelinuxLabels {
  readonly process: string
  /** Of files. */
  readonly mount: string
}

export type StringMap = { readonly [key: string]: string }

/** What was asked for, as JSON can hold it: two requests are the same if their specs are equal. */
export interface SandboxSpec {
  readonly metadata: PodMetadata
  /** A name in the configuration's runtime handlers; the request's '' is resolved to the default. */
  readonly handler: string
  readonly hostname: string
  /** '' when the pod has none. */
  readonly logDirectory: string
  readonly dns: DnsConfig | undefined
  readonly portMappings: readonly PortMapping[]
  readonly labels: StringMap
  readonly annotations: StringMap
  /** Of /dev/shm, where an annotation says one. */
  readonly shmSizeBytes?: number
  /** As kubelet gave it: a path (cgroupfs) or a slice (systemd); '' when the pod has none. */
  readonly cgroupParent: string
  readonly sysctls: StringMap
  /** Undefined where the pod has none, and in records of earlier versions. */
  readonly resources?: PodResources
  readonly namespaces: {
    readonly network: 'pod' | 'node'
    readonly pid: NamespaceMode
    readonly ipc: 'pod' | 'node'
    /** Of the pod's own user namespace, from id 0 on; left out in the host's. */
    readonly user?: IdMappings
  }
  readonly privileged: boolean
  /** Of processes of the sandbox itself. */
  readonly seccomp?: SecurityProfile
  readonly selinux?: SelinuxOptions
}

/** A pid alone may be another process by now; with its start time (field 22 of /proc/PID/stat) it may not. */
export interface Process {
  readonly pid: number
  /** Clock ticks since the boot, in decimal: JSON has no bigint. */
  readonly startTimeTicks: string
}

/**
 *   creating ──▶ ready ──▶ stopping ──▶ stopped      Only `ready` is READY to the CRI. A stop that
 *       └──────────▶ (torn down) ◀─────────┘         fails stays `stopping`, and the next one goes on.
 */
export type SandboxState =
  | { readonly phase: 'creating' }
  | {
      readonly phase: 'ready'
      /** Primary first; none on the host's network. */
      readonly ips: readonly string[]
      /** The init of a shared PID namespace and its monitor, where the pod has one. */
      readonly init?: { readonly init: Process; readonly monitor: Process }
    }
  | { readonly phase: 'stopping' | 'stopped'; readonly ips: readonly string[] }

export interface SandboxRecord {
  readonly id: string
  readonly spec: SandboxSpec
  /** Of the latest UpdatePodSandboxResources: they stand in the place of the spec's. */
  readonly updatedResources?: PodResources
  /** Whether it has an init; where that is not said, it has one if it shares a PID namespace. */
  readonly hasInit?: boolean | undefined
  /** None where SELinux was off when it was made. Its categories are those of no other pod. */
  readonly selinux?: SelinuxLabels
  /** Nanoseconds since 1970, in decimal. */
  readonly createdAtNs: string
  readonly state: SandboxState
}
