/** A runtime handler: an OCI runtime, what it can do, and how this node wants its containers to be. */
export interface RuntimeHandler {
  /** As a pod's RuntimeClass names it. */
  readonly name: string
  readonly features: HandlerFeatures
  readonly settings: HandlerSettings
  /** What a pod sandbox is: pinned namespaces, or besides a container that the others live in. */
  readonly sandbox: 'namespaces' | 'container'
}

/** What the OCI runtime says of itself, or its version is known to do; not what this host's kernel can. */
export interface HandlerFeatures {
  /** Read-only mounts with all that is mounted below them (`rro`). */
  readonly recursiveReadonlyMounts: boolean
  /** New user namespaces with mappings, and namespaces of others joined along with them. */
  readonly userNamespaces: boolean
  /** Mounts with a mapping of their own: `uidMappings` and `gidMappings` of a mount. */
  readonly idmapMounts: boolean
  /** Interfaces of the host moved into the container: linux.netDevices. */
  readonly netDevices: boolean
  /** linux.intelRdt.schemata, and its monitoring groups. */
  readonly rdtSchemata: boolean
  readonly rdtMonitoring: boolean
  /** Filters of system calls. */
  readonly seccomp: boolean
  /** The mount options it knows; undefined where it does not say. */
  readonly mountOptions: readonly string[] | undefined
  /** CheckpointContainer, and containers that go on from a checkpoint: by CRIU. */
  readonly checkpoints: boolean
}

/** Part of config.json of the OCI runtime specification, of whatever version: what is not named here is taken as it is. */
export interface BaseSpec {
  readonly process?: {
    readonly env?: readonly string[]
    readonly rlimits?: readonly { readonly type: string }[]
    readonly [key: string]: unknown
  }
  readonly mounts?: readonly { readonly destination: string }[]
  readonly hooks?: { readonly [stage: string]: readonly object[] }
  readonly linux?: {
    readonly namespaces?: readonly { readonly type: string }[]
    readonly devices?: readonly { readonly path: string }[]
    readonly resources?: {
      readonly devices?: readonly DeviceRule[]
      readonly hugepageLimits?: readonly { readonly pageSize: string }[]
      readonly [key: string]: unknown
    }
    readonly [key: string]: unknown
  }
  readonly [key: string]: unknown
}

interface DeviceRule {
  readonly allow: boolean
  readonly type?: string
  readonly major?: number
}

/** The table [runtime.handlers.NAME] of the configuration file: config/handler-schema.ts says what each means. */
export interface HandlerSettings {
  readonly type: 'oci'
  /** An absolute path, or a name to be found in PATH. */
  readonly path: string
  readonly sandbox: 'auto' | 'namespaces' | 'container'
  /** The OCI runtime's --root; undefined: a directory of the handler's name below the daemon's state. */
  readonly root: string | undefined
  /** `pod`, or a cgroup's path; undefined: one below the daemon's own. */
  readonly monitorCgroup: string | undefined
  readonly createTimeoutMs: number
  readonly cniConfDir: string | undefined
  /** As much of a config.json as its file has. */
  readonly baseSpec: BaseSpec | undefined
  /** A path. */
  readonly seccompProfile: string | undefined
  readonly privilegedWithoutHostDevices: boolean
  /** Only with `privilegedWithoutHostDevices`. */
  readonly privilegedWithoutHostDevicesAllDevicesAllowed: boolean
  /** Names of annotations, in which `*` stands for any text. */
  readonly allowedAnnotations: readonly string[]
}
