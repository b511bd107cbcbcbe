import type { Hook, HookStage, IntelRdt } from '../injection-port.ts'
import type { StringMap } from '../pod-sandbox/record.ts'
import type { BlockIo } from '../resource-classes-port.ts'

/** config.json of the OCI runtime specification 1.0.2 (config.md, config-linux.md), as far as it is used here. */
export interface OciSpec {
  readonly ociVersion: '1.0.2'
  readonly process: OciProcess
  readonly root: { readonly path: string; readonly readonly: boolean }
  readonly mounts: readonly OciMount[]
  readonly annotations: StringMap
  readonly hooks?: OciHooks
  readonly linux: {
    readonly cgroupsPath: string
    readonly namespaces: readonly OciNamespace[]
    readonly uidMappings?: readonly OciIdMapping[]
    readonly gidMappings?: readonly OciIdMapping[]
    readonly devices: readonly OciDevice[]
    readonly resources: OciResources
    readonly rootfsPropagation?: 'rslave' | 'rshared'
    readonly maskedPaths: readonly string[]
    readonly readonlyPaths: readonly string[]
    readonly seccomp?: OciSeccomp
    /** The SELinux context of the file systems that the OCI runtime mounts. */
    readonly mountLabel?: string
    readonly intelRdt?: IntelRdt
    /** By the interface's name on the host; since 1.3. */
    readonly netDevices?: { readonly [hostName: string]: { readonly name: string } }
  }
}

export type OciHooks = { readonly [Stage in HookStage]?: readonly Hook[] }

export interface OciProcess {
  readonly terminal: boolean
  readonly user: { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] }
  readonly args: readonly string[]
  /** NAME=value. */
  readonly env: readonly string[]
  readonly cwd: string
  readonly capabilities: OciCapabilities
  readonly rlimits: readonly { readonly type: string; readonly soft: number; readonly hard: number }[]
  readonly noNewPrivileges: boolean
  readonly apparmorProfile?: string
  readonly selinuxLabel?: string
  readonly oomScoreAdj: number
}

/** A program that is not root's keeps the ambient ones alone; what is inheritable without need is CVE-2022-24769. */
export interface OciCapabilities {
  readonly bounding: readonly string[]
  readonly effective: readonly string[]
  readonly permitted: readonly string[]
  /** The same as the ambient ones, which the kernel takes only from here. */
  readonly inheritable?: readonly string[]
  readonly ambient?: readonly string[]
}

export interface OciMount {
  readonly destination: string
  readonly type: string
  readonly source: string
  readonly options: readonly string[]
}

/** Without a path a new one. */
export interface OciNamespace {
  readonly type: 'mount' | 'pid' | 'network' | 'ipc' | 'uts' | 'user' | 'cgroup'
  readonly path?: string
}

/** Those of a user namespace that is joined have to be said again: runc refuses to join one without. */
export interface OciIdMapping {
  readonly containerID: number
  readonly hostID: number
  readonly size: number
}

export interface OciDevice {
  readonly path: string
  readonly type: 'c' | 'b' | 'u' | 'p'
  readonly major: number
  readonly minor: number
  readonly fileMode?: number
  readonly uid: number
  readonly gid: number
}

/** Without type and numbers it is about every device. */
export interface OciDeviceRule {
  readonly allow: boolean
  readonly type?: 'c' | 'b'
  readonly major?: number
  readonly minor?: number
  readonly access: string
}

/** Also what `update --resources -` of an OCI runtime reads, then without devices. */
export interface OciResources {
  readonly devices?: readonly OciDeviceRule[]
  readonly cpu?: {
    readonly shares?: number
    readonly quota?: number
    readonly period?: number
    readonly cpus?: string
    readonly mems?: string
  }
  readonly memory?: {
    readonly limit?: number
    /** Memory and swap together. */
    readonly swap?: number
    /** Of an update: refuse a limit below the usage. Since 1.1; an older OCI runtime does not look at it. */
    readonly checkBeforeUpdate?: true
  }
  readonly blockIO?: BlockIo
  readonly hugepageLimits?: readonly { readonly pageSize: string; readonly limit: number }[]
  readonly unified?: StringMap
}

/** Actions, operators and architectures are SCMP_…, as libseccomp names them. */
export interface OciSeccomp {
  readonly defaultAction: string
  readonly defaultErrnoRet?: number
  readonly architectures: readonly string[]
  readonly flags?: readonly string[]
  readonly listenerPath?: string
  readonly listenerMetadata?: string
  readonly syscalls: readonly OciSeccompRule[]
}

export interface OciSeccompRule {
  readonly names: readonly string[]
  readonly action: string
  readonly errnoRet?: number
  readonly args?: readonly {
    readonly index: number
    readonly value: Uint64
    readonly valueTwo?: Uint64
    readonly op: string
  }[]
}

/** Beyond what a double can hold, a value made by JSON.rawJSON. */
export type Uint64 = number | { readonly rawJSON: string }
