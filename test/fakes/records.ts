import type { ContainerRecord, ContainerSpec, Resources } from '#runtime/container/record.ts'
import type { SandboxRecord, SandboxSpec } from '#runtime/pod-sandbox/record.ts'

/** Records as tests want them: valid, and with whatever a test cares about put over. */
export function sandboxSpec(over: Partial<SandboxSpec> = {}): SandboxSpec {
  return {
    metadata: { name: 'web', uid: 'uid-1', namespace: 'default', attempt: 0 },
    handler: 'runc',
    hostname: 'web',
    logDirectory: '/var/log/pods/web',
    dns: undefined,
    portMappings: [],
    labels: {},
    annotations: {},
    cgroupParent: '/kubepods/pod1',
    sysctls: {},
    namespaces: { network: 'pod', pid: 'container', ipc: 'pod' },
    privileged: false,
    ...over,
  }
}

export const sandboxRecord = (id: string, over: Partial<SandboxRecord> = {}): SandboxRecord => ({
  id,
  spec: JSON.parse(JSON.stringify(sandboxSpec())) as SandboxSpec,
  createdAtNs: '1000000000',
  state: { phase: 'ready', ips: ['10.0.0.2'] },
  ...over,
})

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

export function containerSpec(over: Partial<ContainerSpec> = {}): ContainerSpec {
  return {
    sandboxId: 's1',
    name: 'app',
    attempt: 0,
    imageReference: 'docker.io/library/busybox:latest',
    userSpecifiedImage: 'busybox',
    command: ['/bin/sleep', '1000'],
    args: [],
    workingDirectory: '',
    env: [],
    mounts: [],
    devices: [],
    labels: {},
    annotations: {},
    logPath: 'app.log',
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
      namespaces: { pid: 'container', targetId: '' },
    },
    ...over,
  }
}

export const containerRecord = (id: string, over: Partial<ContainerRecord> = {}): ContainerRecord => ({
  id,
  spec: containerSpec(),
  handler: 'runc',
  imageId: `sha256:${'a'.repeat(64)}`,
  user: { uid: 0, gid: 0, additionalGids: [] },
  logFile: '/var/log/pods/web/app.log',
  stopSignal: 'SIGTERM',
  createdAtNs: '1000000000',
  state: {
    phase: 'running',
    init: { pid: 42, startTimeTicks: '7' },
    monitor: { pid: 41, startTimeTicks: '6' },
    startedAtNs: '2000000000',
  },
  ...over,
})
