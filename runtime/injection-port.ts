/** The stages of a container's life at which hooks run: runtime-spec, config.md. */
export type HookStage =
  | 'prestart'
  | 'createRuntime'
  | 'createContainer'
  | 'startContainer'
  | 'poststart'
  | 'poststop'

/** A program, as config.json has it. */
export interface Hook {
  readonly path: string
  readonly args?: readonly string[]
  readonly env?: readonly string[]
  /** Seconds. */
  readonly timeout?: number
}

/** A device node with its numbers known; an owner that is not said is the container's user. */
export interface InjectedDevice {
  readonly path: string
  /** `u` is an unbuffered `c`, `p` a FIFO, which has no numbers. */
  readonly type: 'b' | 'c' | 'u' | 'p'
  readonly major?: number
  readonly minor?: number
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  /** A part of rwm. */
  readonly permissions: string
}

export interface InjectedMount {
  readonly hostPath: string
  readonly containerPath: string
  /** '' for a bind mount. */
  readonly type: string
  readonly options: readonly string[]
}

/** linux.intelRdt of config.json. */
export interface IntelRdt {
  readonly closID?: string
  readonly l3CacheSchema?: string
  readonly memBwSchema?: string
  readonly schemata?: readonly string[]
  readonly enableMonitoring?: boolean
}

/** What a specification of the node, not the request, changes in a container. */
export interface ContainerEdits {
  /** NAME=value, over the container's. */
  readonly env: readonly string[]
  readonly devices: readonly InjectedDevice[]
  readonly mounts: readonly InjectedMount[]
  readonly hooks: readonly (Hook & { readonly stage: HookStage })[]
  readonly additionalGids: readonly number[]
  readonly intelRdt: IntelRdt | undefined
  /** Interfaces of the host that move into the container's network namespace. */
  readonly netDevices: readonly { readonly hostName: string; readonly name: string }[]
}

/** A file of a hooks directory (oci-hooks, 1.0.0): which containers its hook is for, and at what stages of them. */
export interface HookFile {
  readonly hook: Hook
  readonly stages: readonly HookStage[]
  /** All that is given must hold; with `or`, one of it. Nothing given never holds. */
  readonly when: {
    readonly always?: boolean
    /** Each of the pairs: an annotation whose name and whose value match. */
    readonly annotations: readonly (readonly [name: RegExp, value: RegExp])[]
    /** One of them matches the program that is run. */
    readonly commands: readonly RegExp[]
    /** Something of the host is mounted. */
    readonly hasBindMounts?: boolean
    readonly or: boolean
  }
}

export interface HookDirectories {
  /** The files in their order, as they are now. Throws failed-precondition naming those that cannot be used. */
  files(): Promise<readonly HookFile[]>
}

/** Devices of the Container Device Interface: vendors describe them in files on the host. */
export interface CdiDevices {
  /**
   * The edits of the named devices, each after those of the file that defines it. Throws failed-precondition naming
   * those that no file defines, with the files that could not be read.
   */
  edits(names: readonly string[]): Promise<readonly ContainerEdits[]>
}
