import type { CheckpointDescription } from '#runtime/checkpoint-port.ts'
import type { ContainerRecord } from '#runtime/container/record.ts'
import type { ContainerEdits, HookFile } from '#runtime/injection-port.ts'
import type { NamespacePaths } from '#runtime/namespaces-port.ts'
import type { PodConnection } from '#runtime/pod-ports-port.ts'
import type { Process, SandboxRecord, StringMap } from '#runtime/pod-sandbox/record.ts'
import type { CgroupUsage, InterfaceUsage, WrittenUsage } from '#runtime/usage-port.ts'

export interface FakeContainer {
  phase: 'created' | 'running' | 'ended'
  readonly init: Process
  readonly monitor: Process
  monitorLives: boolean
  readonly cgroupParent: string
  cgroup: boolean
  /** config.json. */
  readonly ociSpec: { readonly process?: object }
  exit: { readonly atNs: string; readonly exitCode: number; readonly oomKilled: boolean } | undefined
  readonly signals: number[]
  execs: number
  frozen: boolean
  /** `linux.resources` of the updates, in order. */
  readonly updates: object[]
}

/** What exists on a host in memory, whoever made it. It outlives every runtime that acts on it. */
export class FakeHost {
  readonly sandboxRecords = new Map<string, string>()
  readonly containerRecords = new Map<string, string>()
  readonly namespaces = new Map<string, NamespacePaths>()
  /** Set once the pod had its interface. */
  readonly lateSysctls = new Map<string, StringMap>()
  readonly attachments = new Map<string, readonly string[]>()
  /** Servers in pods, by `NETNS:PORT`; `host:PORT` is the host's own. */
  readonly listeners = new Map<string, () => PodConnection>()
  readonly files = new Set<string>()
  readonly logDirectories = new Set<string>()
  /** What PodCgroups made: the cgroup's path, by sandbox id. */
  readonly podCgroups = new Map<string, string>()
  readonly rootfs = new Map<string, 'mounted' | 'unmounted'>()
  /** What cgroups use, by path; interfaces of network namespaces; what containers wrote. */
  readonly cgroupUsages = new Map<string, CgroupUsage>()
  readonly interfaces = new Map<string, readonly InterfaceUsage[]>()
  readonly written = new Map<string, WrittenUsage>()
  /** Image volumes that are mounted, `ID/INDEX`. */
  readonly imageVolumes = new Set<string>()
  /** The sources of MappedMounts, by container id. */
  readonly mappedMounts = new Map<string, readonly string[]>()
  readonly containers = new Map<string, FakeContainer>()
  /** What is laid out of checkpoints, by container. */
  readonly checkpoints = new Set<string>()
  /** What images that a policy refuses are called. */
  readonly unverified = new Set<string>()
  /** Archives that were written, by path. */
  readonly archives = new Map<string, CheckpointDescription>()
  /** Objects for which programs of an earlier daemon still act. */
  readonly lockHolders = new Set<string>()
  /** Signals that no container takes: [9] makes all of them hang in the kernel. */
  readonly ignoredSignals = new Set<number>()
  /** What every CDI device says beside its name. */
  cdiEdits: Partial<ContainerEdits> = {}
  hookFiles: readonly HookFile[] = []
  /** By path. */
  readonly textFiles = new Map<string, string>()
  readonly selinux = { enabled: false, invalid: new Set<string>() }
  /** By path, of volumes. */
  readonly fileLabels = new Map<string, string>()
  readonly apparmor = { enabled: true, hasParser: true, loaded: new Set<string>() }
  readonly #changed = new Set<() => void>()
  #now = 0
  /** How often cgroups were looked into. */
  cgroupReads = 0
  #nextPid = 100

  nowNs = (): string => `${++this.#now}`

  passTime(ms: number): void {
    this.#now += ms * 1e6
  }

  newProcess(): Process {
    this.#nextPid += 1
    return { pid: this.#nextPid, startTimeTicks: `${this.#nextPid}` }
  }

  /** Ends a container's init; its monitor, if it lives, leaves the exit code and ends too. */
  exit(id: string, exitCode: number, oomKilled = false): void {
    const container = this.containers.get(id)
    if (container === undefined || container.phase === 'ended') return
    container.phase = 'ended'
    if (container.monitorLives) container.exit = { atNs: this.nowNs(), exitCode, oomKilled }
    container.monitorLives = false
    this.tellChange()
  }

  /** SIGKILL to the monitor: the container runs on, its exit code will be lost. */
  killMonitor(id: string): void {
    const container = this.containers.get(id)
    if (container !== undefined) container.monitorLives = false
    this.tellChange()
  }

  /** Power goes: processes, namespaces, mounts and cgroups are gone, records and what containers wrote are not. */
  reboot(): void {
    for (const container of this.containers.values()) {
      container.phase = 'ended'
      container.monitorLives = false
      container.cgroup = false
    }
    this.containers.clear()
    this.namespaces.clear()
    this.files.clear()
    this.podCgroups.clear()
    this.imageVolumes.clear()
    this.mappedMounts.clear()
    for (const id of this.rootfs.keys()) this.rootfs.set(id, 'unmounted')
    this.tellChange()
  }

  /** Resolves when the condition holds. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await new Promise<void>((resolve) => {
        const tell = (): void => {
          this.#changed.delete(tell)
          resolve()
        }
        this.#changed.add(tell)
      })
    }
  }

  tellChange(): void {
    for (const tell of [...this.#changed]) tell()
  }

  /** A line for each thing that is there, with its state. */
  left(): readonly string[] {
    const records = [
      ...[...this.sandboxRecords.values()].map((text) => JSON.parse(text) as SandboxRecord),
      ...[...this.containerRecords.values()].map((text) => JSON.parse(text) as ContainerRecord),
    ]
    const containers = [...this.containers].flatMap(([id, { phase, cgroup, monitorLives, frozen }]) => [
      `container ${id} ${phase}`,
      ...(cgroup ? [`cgroup of ${id}`] : []),
      ...(monitorLives ? [`monitor of ${id}`] : []),
      ...(frozen ? [`frozen ${id}`] : []),
    ])
    return [
      ...records.map(({ id, state }) => `record ${id} ${state.phase}`),
      ...[...this.namespaces.keys()].map((id) => `namespaces of ${id}`),
      ...[...this.attachments.keys()].map((id) => `attachment of ${id}`),
      ...[...this.files].map((id) => `files of ${id}`),
      ...[...this.podCgroups.values()].map((path) => `cgroup ${path}`),
      ...[...this.rootfs].map(([id, state]) => `rootfs of ${id} ${state}`),
      ...[...this.imageVolumes].map((id) => `image volume ${id}`),
      ...[...this.mappedMounts].map(([id, sources]) => `mapped for ${id} ${sources.join()}`),
      ...containers,
      ...[...this.checkpoints].map((id) => `checkpoint of ${id}`),
      ...[...this.lockHolders].map((id) => `holder of ${id}`),
    ].sort()
  }
}
