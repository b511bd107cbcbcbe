/** What one line of a pressure file says: Documentation/accounting/psi.rst. */
export interface PressureLine {
  readonly totalNs: number
  /** Percent of the time. */
  readonly avg10: number
  readonly avg60: number
  readonly avg300: number
}

/** How long some, or all, of a cgroup's tasks waited for a resource. */
export interface Pressure {
  readonly some: PressureLine
  /** Kernels before 5.13 have none for the CPU. */
  readonly full: PressureLine | undefined
}

/** What a cgroup, with all below it, uses and has used. Undefined: the kernel does not count it. */
export interface CgroupUsage {
  readonly cpuNs: number | undefined
  readonly memory:
    | {
        readonly usageBytes: number
        /** Usage but for the page cache that can be dropped at once. */
        readonly workingSetBytes: number
        readonly rssBytes: number
        readonly pageFaults: number
        readonly majorPageFaults: number
        /** Undefined: it has no limit of its own. */
        readonly limitBytes: number | undefined
      }
    | undefined
  readonly swap: { readonly usageBytes: number; readonly limitBytes: number | undefined } | undefined
  /** Processes and threads. */
  readonly tasks: number | undefined
  readonly pressure: {
    readonly cpu: Pressure | undefined
    readonly memory: Pressure | undefined
    readonly io: Pressure | undefined
  }
}

export interface InterfaceUsage {
  readonly name: string
  readonly receivedBytes: number
  readonly receiveErrors: number
  readonly sentBytes: number
  readonly sendErrors: number
}

/** The kernel's counters. They are files in memory: a look takes microseconds, and is made at once. */
export interface UsageCounters {
  /** By `linux.cgroupsPath` of a container, or the cgroup parent of a pod; undefined when it is gone. */
  cgroup(path: string): CgroupUsage | undefined
  /** Of a network namespace, but for the loopback; empty when the namespace is gone. */
  interfaces(netnsPath: string): readonly InterfaceUsage[]
}

/** What a container has written into its root file system. */
export interface WrittenUsage {
  /** Nanoseconds since 1970, in decimal: when it was measured. */
  readonly atNs: string
  /** The directory of the file system that it lies on. */
  readonly path: string
  readonly usedBytes: number
  readonly usedInodes: number
}
