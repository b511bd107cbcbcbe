import type { Readable, Writable } from 'node:stream'
import type { CheckpointDirectories } from './checkpoint-port.ts'
import type { Process } from './pod-sandbox/record.ts'

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
  /** The pod's, which is there; by itself the directory of the log file. */
  readonly logDirectory?: string
  /** Below the log directory, perhaps in directories that are not there yet; '' for none. */
  readonly logFile: string
  /** CRIU's images: the container goes on from them instead of running its command from the beginning. */
  readonly restoreFrom?: string
}

export interface CheckpointRequest {
  readonly id: string
  readonly handler: string
  readonly directories: CheckpointDirectories
  readonly timeoutMs: number
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
  /** Kills what it started, when who asked for it has gone. */
  readonly signal: AbortSignal
  /** Each stream is cut at this size; what follows is read and discarded. */
  readonly outputLimitBytes: number
}

export interface ExecResult {
  readonly exitCode: number
  readonly stdout: Buffer
  readonly stderr: Buffer
  readonly timedOut: boolean
}

export interface TerminalSize {
  readonly columns: number
  readonly rows: number
}

/** A client's ends of the streams of a command or of a container. Whoever is handed them never ends or destroys them. */
export interface CommandStreams {
  /** What the client writes. Its end is the end of the command's input. Undefined: there is no input. */
  readonly stdin: Readable | undefined
  /** Undefined, or destroyed meanwhile: what is written there is read and dropped. */
  readonly stdout: Writable | undefined
  /** Undefined with a terminal, which has one output. */
  readonly stderr: Writable | undefined
  /** To be called at most once: the listener hears the size there is, if one is known, and each later one. */
  readonly onResize: (listener: (size: TerminalSize) => void) => void
}

export interface StreamedExecRequest {
  readonly id: string
  readonly handler: string
  /** `process` of the OCI runtime specification; with `terminal` it gets one. */
  readonly ociProcess: object
  readonly streams: CommandStreams
  /** Kills all that it started, when its client has gone. */
  readonly signal: AbortSignal
}

export interface ContainerAttachRequest {
  readonly id: string
  readonly tty: boolean
  /** Whether the container has an input, and whether it ends with the first client that had it. */
  readonly stdin: boolean
  readonly stdinOnce: boolean
  readonly streams: CommandStreams
  /** Detaches; the container runs on. */
  readonly signal: AbortSignal
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
  /**
   * Runs a command on a client's streams, and answers its exit code once all its output is written to them: no faster
   * than the client takes it. Throws failed-precondition when the command cannot be run, cancelled after the signal.
   */
  execStreamed(request: StreamedExecRequest): Promise<number>
  /**
   * Passes what the container writes from now on to a client, and what the client writes to the container, as often as
   * there are clients. Resolves when the container's output has ended or the signal aborts. A client that takes its
   * output too slowly would stop the container's log: it is dropped with resource-exhausted.
   */
  attach(request: ContainerAttachRequest): Promise<void>
  update(id: string, handler: string, resources: object): Promise<void>
  /** Writes the state of its processes down, and leaves them standing still: see `thaw`. Answers its config.json. */
  checkpoint(request: CheckpointRequest): Promise<object>
  /** Lets processes go on that a checkpoint, also one of an earlier daemon, has left standing still. */
  thaw(id: string, handler: string): Promise<void>
  reopenLog(id: string, logFile: string): Promise<void>
  /** Resolves when the container may have exited: there is something new to observe. */
  ended(container: MonitoredContainer): Promise<void>
  observe(container: MonitoredContainer): Promise<Observation>
  /** Whether the init of a created container has been released: asks its OCI runtime. */
  hasStarted(id: string, handler: string): Promise<boolean>
  /**
   * Takes over a running container from an earlier daemon: its execs under way, which nobody waits for, are killed,
   * and what a checkpoint has left standing still goes on.
   */
  adopt(id: string, handler: string): Promise<void>
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
