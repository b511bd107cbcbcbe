import type { ContainerRecord, ContainerSpec, Resources } from './container/record.ts'
import type { CommandStreams, ExecResult } from './monitor-port.ts'
import type { PodConnection } from './pod-ports-port.ts'
import type { PodResources, SandboxRecord, SandboxSpec } from './pod-sandbox/record.ts'
import type { CgroupUsage, InterfaceUsage, WrittenUsage } from './usage-port.ts'

/**
 * What the CRI (cri/) asks of the runtime. Ids may be unique prefixes. Unless said otherwise an unknown id throws
 * not-found, an empty or ambiguous one invalid-argument. Lists and lookups answer from memory, under no lock.
 */
export interface SandboxService {
  /** Brings a sandbox up and answers its id. The same spec again joins or answers the first; another throws already-exists. */
  run(spec: SandboxSpec): Promise<string>
  /** Kills what runs in it and gives its network back. */
  stop(id: string): Promise<void>
  /** Stops it if need be and removes it with its containers. */
  remove(id: string): Promise<void>
  /** One sandbox; those being created are not found. */
  get(id: string): SandboxRecord
  /** All but those being created. */
  list(): readonly SandboxRecord[]
  /** Throws failed-precondition for one that is not ready. */
  ready(id: string): SandboxRecord
  /** Keeps what is given beside what was given before; throws failed-precondition for one that is not ready. */
  updateResources(id: string, resources: PodResources): Promise<void>
  /** A connection to a port of the pod's loopback; throws unavailable where nobody listens. */
  connect(id: string, port: number): Promise<PodConnection>
}

export interface ContainerService {
  /** `spec.sandboxId` is a full id. The same spec again joins or answers the first; another throws already-exists. */
  create(spec: ContainerSpec): Promise<string>
  start(id: string): Promise<void>
  /** The stop signal, then after the grace period SIGKILL; a second call with a shorter one shortens it. */
  stop(id: string, graceMs: number): Promise<void>
  remove(id: string): Promise<void>
  get(id: string): ContainerRecord
  list(): readonly ContainerRecord[]
  /** Merges what is given (not zero) into the container's resources; `spec.resources` of the record then has them. */
  update(id: string, resources: Resources): Promise<void>
  /** Throws failed-precondition when it does not run. */
  reopenLog(id: string): Promise<void>
  /** Writes its state to an archive at an absolute path; it runs on. Throws failed-precondition when it does not run. */
  checkpoint(id: string, location: string, timeoutMs: number): Promise<void>
}

/** What runs in a container beside its own command, and who looks at it. */
export interface CommandService {
  /** `timeoutMs` undefined: none. The command is killed when the signal aborts. */
  execSync(
    id: string,
    command: readonly string[],
    timeoutMs: number | undefined,
    signal: AbortSignal,
  ): Promise<ExecResult>
  /** The full id of a container that runs; throws failed-precondition for another. */
  executable(id: string): string
  /** Runs a command on a client's streams and answers its exit code. It is killed when the signal aborts. */
  exec(
    id: string,
    command: { readonly command: readonly string[]; readonly tty: boolean },
    streams: CommandStreams,
    signal: AbortSignal,
  ): Promise<number>
  /** A container that can be attached to; throws failed-precondition for another. */
  attachable(id: string): ContainerRecord
  /** Resolves when the container's output has ended, or the signal aborts; see ContainerMonitor. */
  attach(id: string, streams: CommandStreams, signal: AbortSignal): Promise<void>
}

/** A cgroup's usage, or that of several together. */
export interface Usage extends CgroupUsage {
  /** Nanoseconds since 1970, in decimal. */
  readonly atNs: string
  /** Billionths of a CPU, since the sample before; undefined for the first. */
  readonly nanoCores: number | undefined
}

export interface ContainerStats {
  readonly record: ContainerRecord
  /** Undefined of one that does not run. */
  readonly usage: Usage | undefined
  /** Undefined until it was measured. */
  readonly written: WrittenUsage | undefined
}

export interface SandboxStats {
  readonly record: SandboxRecord
  readonly atNs: string
  readonly usage: Usage | undefined
  /** Undefined on the host's network. */
  readonly network: { readonly atNs: string; readonly interfaces: readonly InterfaceUsage[] } | undefined
  /** Of all its containers. */
  readonly containers: readonly ContainerStats[]
}

/** What records use, in the order of the records; nothing in it is older than a second, but for what was written. */
export interface StatsService {
  containers(records: readonly ContainerRecord[]): Promise<readonly ContainerStats[]>
  sandboxes(records: readonly SandboxRecord[]): Promise<readonly SandboxStats[]>
}
