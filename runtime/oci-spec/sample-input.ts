import type { ContainerSpec, Resources } from '../container/record.ts'
import type { SandboxRecord } from '../pod-sandbox/record.ts'
import type { HostFacts } from '../ports.ts'
import { sampleDefaults } from '../sample-defaults.ts'
import { sampleHandler } from '../sample-handler.ts'
import type { OciSpecInput } from './build-spec.ts'

/** A plain request for the tests of this folder and of those that run what it builds. */
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

const sampleContainer: ContainerSpec = {
  sandboxId: 'sandbox-1',
  name: 'web',
  attempt: 0,
  imageReference: 'sha256:1234',
  userSpecifiedImage: 'registry.test/web:1',
  command: [],
  args: [],
  workingDirectory: '',
  env: [],
  mounts: [],
  devices: [],
  labels: {},
  annotations: { 'example.com/owner': 'me' },
  logPath: 'web/0.log',
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
    maskedPaths: ['/proc/kcore'],
    readonlyPaths: ['/proc/sys'],
    namespaces: { pid: 'container', targetId: '' },
  },
}

const sampleSandbox: SandboxRecord = {
  id: 'sandbox-1',
  spec: {
    metadata: { name: 'pod', uid: 'uid-1', namespace: 'default', attempt: 0 },
    handler: 'runc',
    hostname: 'pod-host',
    logDirectory: '',
    dns: undefined,
    portMappings: [],
    labels: {},
    annotations: {},
    cgroupParent: '/kubepods/pod1',
    sysctls: {},
    namespaces: { network: 'pod', pid: 'container', ipc: 'pod' },
    privileged: false,
  },
  createdAtNs: '0',
  state: { phase: 'ready', ips: [] },
}

export const sampleHost: HostFacts = {
  cgroupVersion: 2,
  cgroupDriver: 'cgroupfs',
  capabilities: ['CAP_CHOWN', 'CAP_KILL', 'CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_SYS_ADMIN'],
  minOomScoreAdj: -1000,
  nofileLimit: { soft: 1024, hard: 524_288 },
  swapLimits: true,
  hugepageSizes: ['2MB'],
  architecture: 'amd64',
  kernel: [6, 12],
  seccomp: true,
}

export const sampleInput: OciSpecInput = {
  container: sampleContainer,
  containerId: 'container-1',
  sandbox: sampleSandbox,
  handler: sampleHandler('runc'),
  image: {
    id: 'sha256:1234',
    config: {
      entrypoint: ['/entry'],
      cmd: ['serve'],
      env: ['PATH=/bin', 'LANG=C'],
      user: '',
      workingDirectory: '',
      stopSignal: '',
      volumes: [],
    },
  },
  user: { uid: 0, gid: 0, additionalGids: [0] },
  rootfsPath: '/rootfs',
  namespaces: { network: '/ns/net', ipc: '/ns/ipc', uts: '/ns/uts', pid: 'private' },
  sandboxFiles: { resolvConf: '/s/resolv.conf', hosts: '/s/hosts', hostname: '/s/hostname', shm: '/s/shm' },
  mountSources: new Map(),
  extraMounts: [],
  mappedSources: new Map(),
  devices: [],
  host: sampleHost,
  defaults: sampleDefaults,
  hostname: 'node-1',
  cgroupsPath: '/kubepods/pod1/container-1',
  seccomp: undefined,
  apparmorProfile: undefined,
  selinux: undefined,
}

/** The sample with parts of its container replaced. */
export const withContainer = (
  container: Partial<ContainerSpec>,
  security: Partial<ContainerSpec['security']> = {},
): OciSpecInput => ({
  ...sampleInput,
  container: { ...sampleContainer, ...container, security: { ...sampleContainer.security, ...security } },
})

export const privilegedSandbox: SandboxRecord = {
  ...sampleSandbox,
  spec: { ...sampleSandbox.spec, privileged: true },
}
