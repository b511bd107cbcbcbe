import type * as wire from '#proto/gen/runtime/v1/api.ts'
import type { ContainerStats, SandboxStats, Usage } from '#runtime/services.ts'
import type { InterfaceUsage, Pressure, PressureLine, WrittenUsage } from '#runtime/usage-port.ts'

/** What CNI plugins are told to name a pod's interface. */
const defaultInterface = 'eth0'

/** Of a container that does not run there are only its attributes and what it wrote. */
export function containerStatsToWire({ record, usage, written }: ContainerStats): wire.ContainerStats {
  const { id, spec } = record
  return {
    attributes: {
      id,
      metadata: { name: spec.name, attempt: spec.attempt },
      labels: spec.labels,
      annotations: spec.annotations,
    },
    cpu: usage && cpuToWire(usage),
    memory: usage && memoryToWire(usage),
    swap: usage && swapToWire(usage),
    io: usage && ioToWire(usage),
    writableLayer: written && writtenToWire(written),
  }
}

export function sandboxStatsToWire(stats: SandboxStats): wire.PodSandboxStats {
  const { record, usage, network, containers } = stats
  const { id, spec } = record
  return {
    attributes: { id, metadata: spec.metadata, labels: spec.labels, annotations: spec.annotations },
    linux: {
      cpu: usage && cpuToWire(usage),
      memory: usage && memoryToWire(usage),
      io: usage && ioToWire(usage),
      network: network && networkToWire(network.atNs, network.interfaces),
      process: {
        timestamp: BigInt(usage?.atNs ?? stats.atNs),
        processCount: toValue(usage ? usage.tasks : 0),
      },
      containers: containers.map(containerStatsToWire),
    },
    windows: undefined,
  }
}

function cpuToWire({ atNs, cpuNs, nanoCores, pressure }: Usage): wire.CpuUsage | undefined {
  if (cpuNs === undefined) return undefined
  return {
    timestamp: BigInt(atNs),
    usageCoreNanoSeconds: toValue(cpuNs),
    usageNanoCores: toValue(nanoCores),
    psi: psiToWire(pressure.cpu),
  }
}

function memoryToWire({ atNs, memory, pressure }: Usage): wire.MemoryUsage | undefined {
  if (memory === undefined) return undefined
  const { limitBytes, workingSetBytes } = memory
  return {
    timestamp: BigInt(atNs),
    workingSetBytes: toValue(workingSetBytes),
    availableBytes: left(limitBytes, workingSetBytes),
    usageBytes: toValue(memory.usageBytes),
    rssBytes: toValue(memory.rssBytes),
    pageFaults: toValue(memory.pageFaults),
    majorPageFaults: toValue(memory.majorPageFaults),
    psi: psiToWire(pressure.memory),
  }
}

function swapToWire({ atNs, swap }: Usage): wire.SwapUsage | undefined {
  if (swap === undefined) return undefined
  return {
    timestamp: BigInt(atNs),
    swapAvailableBytes: left(swap.limitBytes, swap.usageBytes),
    swapUsageBytes: toValue(swap.usageBytes),
  }
}

/** The message has nothing but the pressure. */
const ioToWire = ({ atNs, pressure }: Usage): wire.IoUsage | undefined =>
  pressure.io && { timestamp: BigInt(atNs), psi: psiToWire(pressure.io) }

const writtenToWire = ({ atNs, path, usedBytes, usedInodes }: WrittenUsage): wire.FilesystemUsage => ({
  timestamp: BigInt(atNs),
  fsId: { mountpoint: path },
  usedBytes: toValue(usedBytes),
  inodesUsed: toValue(usedInodes),
})

/** The default one stands among the others too, as with containerd. */
function networkToWire(atNs: string, interfaces: readonly InterfaceUsage[]): wire.NetworkUsage {
  const all = interfaces.map((each) => ({
    name: each.name,
    rxBytes: toValue(each.receivedBytes),
    rxErrors: toValue(each.receiveErrors),
    txBytes: toValue(each.sentBytes),
    txErrors: toValue(each.sendErrors),
  }))
  return {
    timestamp: BigInt(atNs),
    defaultInterface: all.find(({ name }) => name === defaultInterface) ?? all[0],
    interfaces: all,
  }
}

const psiToWire = (pressure: Pressure | undefined): wire.PsiStats | undefined =>
  pressure && { Some: psiLine(pressure.some), Full: pressure.full && psiLine(pressure.full) }

const psiLine = ({ totalNs, avg10, avg60, avg300 }: PressureLine): wire.PsiData => ({
  Total: BigInt(totalNs),
  Avg10: avg10,
  Avg60: avg60,
  Avg300: avg300,
})

/** Undefined where there is no limit. */
const left = (limitBytes: number | undefined, usedBytes: number): wire.UInt64Value | undefined =>
  toValue(limitBytes === undefined ? undefined : Math.max(0, limitBytes - usedBytes))

const toValue = <Given extends number | undefined>(value: Given): { value: bigint } | undefined =>
  value === undefined ? undefined : { value: BigInt(value) }
