import { CriError, notFound } from '#lib/errors.ts'
import type { ContainerRecord, ContainerSpec, Resources } from '#runtime/container/record.ts'
import type { ExecResult } from '#runtime/monitor-port.ts'
import type { SandboxRecord, SandboxSpec } from '#runtime/pod-sandbox/record.ts'
import type { CommandService, ContainerService, SandboxService, StatsService } from '#runtime/services.ts'
import { recordingLog } from './recording-log.ts'
import type { RuntimeStatus } from './runtime-service/runtime-status.ts'
import { runtimeService } from './runtime-service/service.ts'
import { StartGate } from './start-gate.ts'
import type { StreamingRequest } from './streaming/session.ts'
import type { CallContext } from './unary.ts'

export interface FakeServices {
  readonly sandboxes: SandboxService
  readonly containers: ContainerService
  readonly commands: CommandService
  readonly stats: StatsService
  /** The calls that change something, with their arguments, in order. */
  readonly journal: unknown[][]
}

/** For tests: pods and containers that are only records. Ids are matched in full. */
export function fakeServices(
  given: {
    readonly sandboxes?: readonly SandboxRecord[]
    readonly containers?: readonly ContainerRecord[]
    readonly exec?: ExecResult
  } = {},
): FakeServices {
  const { sandboxes = [], containers = [], exec = noOutput } = given
  const journal: unknown[][] = []
  const did = async <Answer>(answer: Answer, ...call: unknown[]): Promise<Answer> => {
    journal.push(call)
    return answer
  }
  const container = (id: string): ContainerRecord => found('container', containers, id)
  const sandbox = (id: string): SandboxRecord => found('sandbox', sandboxes, id)

  return {
    journal,
    sandboxes: {
      run: (spec) => did('new-sandbox', 'run', spec),
      stop: async (id) => did(undefined, 'stop', sandbox(id).id),
      remove: async (id) => did(undefined, 'remove', sandbox(id).id),
      get: sandbox,
      list: () => sandboxes,
      ready: sandbox,
      updateResources: async (id, resources) => did(undefined, 'updateResources', sandbox(id).id, resources),
      connect: async (id, port) => {
        throw new CriError('unavailable', `pod sandbox ${sandbox(id).id}: nobody listens on port ${port}`)
      },
    },
    containers: {
      create: (spec) => did('new-container', 'create', spec),
      start: async (id) => did(undefined, 'start', container(id).id),
      stop: async (id, graceMs) => did(undefined, 'stop', container(id).id, graceMs),
      remove: async (id) => did(undefined, 'remove', container(id).id),
      get: container,
      list: () => containers,
      update: async (id, resources) => did(undefined, 'update', container(id).id, resources),
      reopenLog: async (id) => did(undefined, 'reopenLog', container(id).id),
      checkpoint: async (id, location, timeoutMs) =>
        did(undefined, 'checkpoint', container(id).id, location, timeoutMs),
    },
    commands: {
      execSync: async (id, command, timeoutMs) => did(exec, 'execSync', container(id).id, command, timeoutMs),
      executable: (id) => container(id).id,
      exec: async (id, command) => did(exec.exitCode, 'exec', container(id).id, command),
      attachable: container,
      attach: async (id) => did(undefined, 'attach', container(id).id),
    },
    stats: {
      containers: async (records) => records.map(noStats),
      sandboxes: async (records) =>
        records.map((record) => ({
          record,
          ...{ atNs: '1700000002000000000', usage: undefined, network: undefined },
          containers: containers.filter(({ spec }) => spec.sandboxId === record.id).map(noStats),
        })),
    },
  }
}

function found<Record extends { readonly id: string }>(
  what: string,
  records: readonly Record[],
  id: string,
): Record {
  const record = records.find((one) => one.id === id)
  if (record === undefined) throw notFound(what, id)
  return record
}

const noStats = (record: ContainerRecord) => ({ record, usage: undefined, written: undefined })

const noOutput: ExecResult = {
  exitCode: 0,
  stdout: Buffer.alloc(0),
  stderr: Buffer.alloc(0),
  timedOut: false,
}

/** For tests: a daemon that is up, with a network, and the handlers runc and crun (the default). */
export function fakeStatus(changes: Partial<RuntimeStatus> = {}): RuntimeStatus {
  return {
    version: '0.1.0',
    cgroupDriver: 'cgroupfs',
    runtime: () => ({ ready: true, reason: '', message: '' }),
    network: async () => ({ ready: true }),
    handlers: () => [
      { name: 'runc', isDefault: false, recursiveReadOnlyMounts: true, userNamespaces: false },
      { name: 'crun', isDefault: true, recursiveReadOnlyMounts: false, userNamespaces: true },
    ],
    info: () => ({ cgroups: { version: 1 } }),
    ...changes,
  }
}

/** For tests: the RuntimeService on fakes, its gate open; by default there is a pod s1 and a container c1. */
export function fakeRuntimeService(
  given: Parameters<typeof fakeServices>[0] = {
    sandboxes: [sandboxRecord()],
    containers: [containerRecord()],
  },
  status = fakeStatus(),
  gate = openGate(),
) {
  const services = fakeServices(given)
  const asked: StreamingRequest[] = []
  const streaming = {
    urlFor(request: StreamingRequest) {
      asked.push(request)
      return `http://127.0.0.1:1/${request.kind}/token`
    },
  }
  const table = runtimeService({ ...services, streaming, status, gate })
  return { ...services, table, asked }
}

function openGate(): StartGate {
  const gate = new StartGate()
  gate.open()
  return gate
}

export const fakeCall = (): CallContext => ({ log: recordingLog().log, signal: AbortSignal.any([]) })

export const noResources: Resources = {
  cpuPeriodUs: 0,
  cpuQuotaUs: 0,
  cpuShares: 0,
  memoryLimitBytes: 0,
  memorySwapLimitBytes: 0,
  oomScoreAdj: 0,
  cpusetCpus: '',
  cpusetMems: '',
  hugepageLimits: [],
  unified: {},
}

/** For tests: the spec of a pod that says no more than it must. */
export function sandboxSpec(changes: Partial<SandboxSpec> = {}): SandboxSpec {
  return {
    metadata: { name: 'web', uid: 'u1', namespace: 'default', attempt: 0 },
    handler: 'crun',
    hostname: '',
    logDirectory: '',
    dns: undefined,
    portMappings: [],
    labels: {},
    annotations: {},
    cgroupParent: '',
    sysctls: {},
    namespaces: { network: 'pod', pid: 'pod', ipc: 'pod' },
    privileged: false,
    ...changes,
  }
}

export function sandboxRecord(changes: Partial<SandboxRecord> = {}): SandboxRecord {
  return {
    id: 's1',
    spec: sandboxSpec(),
    createdAtNs: '1700000000123456789',
    state: { phase: 'ready', ips: ['10.88.0.2'] },
    ...changes,
  }
}

/** For tests: the spec of a container that says no more than it must. */
export function containerSpec(changes: Partial<ContainerSpec> = {}): ContainerSpec {
  return {
    sandboxId: 's1',
    name: 'nginx',
    attempt: 0,
    imageReference: 'sha256:1',
    userSpecifiedImage: '',
    command: [],
    args: [],
    workingDirectory: '',
    env: [],
    mounts: [],
    devices: [],
    labels: {},
    annotations: {},
    logPath: '',
    stdin: false,
    stdinOnce: false,
    tty: false,
    stopSignal: '',
    resources: noResources,
    security: {
      user: { user: '', group: undefined, supplementalGroups: [] },
      privileged: false,
      readonlyRootfs: false,
      noNewPrivileges: false,
      addCapabilities: [],
      dropCapabilities: [],
      maskedPaths: [],
      readonlyPaths: [],
      namespaces: { pid: 'pod', targetId: '' },
    },
    ...changes,
  }
}

const process = { pid: 42, startTimeTicks: '1234' }

export function containerRecord(changes: Partial<ContainerRecord> = {}): ContainerRecord {
  return {
    id: 'c1',
    spec: containerSpec(),
    handler: 'crun',
    imageId: 'sha256:1',
    user: { uid: 0, gid: 0, additionalGids: [] },
    logFile: '',
    stopSignal: 'SIGTERM',
    createdAtNs: '1700000000123456789',
    state: { phase: 'running', init: process, monitor: process, startedAtNs: '1700000001000000000' },
    ...changes,
  }
}
