import { expect, test } from 'vitest'
import { ContainerState, NamespaceMode, PodSandboxState, Signal } from '#proto/gen/runtime/v1/api.ts'
import { containerStatusToWire, containerToWire } from './convert-container-status.ts'
import { sandboxStatusToWire, sandboxToWire } from './convert-sandbox-status.ts'
import { containerRecord, containerSpec, noResources, sandboxRecord, sandboxSpec } from './fake-services.ts'

const labels = { app: 'web' }
const annotations = { hash: '1' }
const process = { pid: 42, startTimeTicks: '1234' }

test('a sandbox is listed and described as it was asked for, with its addresses', () => {
  const namespaces = { network: 'pod', pid: 'container', ipc: 'node' } as const
  const record = sandboxRecord({
    spec: sandboxSpec({ labels, annotations, namespaces }),
    state: { phase: 'ready', ips: ['10.88.0.2', 'fd00::2', 'fd00::3'] },
  })
  const listed = {
    id: 's1',
    metadata: record.spec.metadata,
    state: PodSandboxState.SANDBOX_READY,
    createdAt: 1_700_000_000_123_456_789n,
    labels,
    annotations,
    runtimeHandler: 'crun',
  }
  expect(sandboxToWire(record)).toEqual(listed)
  expect(sandboxStatusToWire(record)).toEqual({
    ...listed,
    network: { ip: '10.88.0.2', additionalIps: [{ ip: 'fd00::2' }, { ip: 'fd00::3' }] },
    linux: {
      namespaces: {
        options: {
          network: NamespaceMode.POD,
          pid: NamespaceMode.CONTAINER,
          ipc: NamespaceMode.NODE,
          targetId: '',
          usernsOptions: undefined,
        },
      },
    },
  })
})

test.for(['stopping', 'stopped'] as const)('a sandbox that is %s is not ready', (phase) => {
  const record = sandboxRecord({ state: { phase, ips: [] } })
  expect(sandboxStatusToWire(record)).toMatchObject({
    state: PodSandboxState.SANDBOX_NOTREADY,
    network: { ip: '', additionalIps: [] },
  })
})

test('a container is listed with the image as the user named it, and by id, the digest being for statuses', () => {
  const spec = containerSpec({
    labels,
    annotations,
    attempt: 2,
    imageReference: 'sha256:1',
    userSpecifiedImage: 'nginx:1',
  })
  expect(containerToWire(containerRecord({ spec, imageId: 'sha256:1' }))).toEqual({
    id: 'c1',
    podSandboxId: 's1',
    metadata: { name: 'nginx', attempt: 2 },
    image: {
      image: 'nginx:1',
      userSpecifiedImage: 'nginx:1',
      annotations: {},
      runtimeHandler: '',
      imageRef: '',
    },
    imageRef: 'sha256:1',
    imageId: 'sha256:1',
    state: ContainerState.CONTAINER_RUNNING,
    createdAt: 1_700_000_000_123_456_789n,
    labels,
    annotations,
  })
  const imageDigest = 'registry.test/nginx@sha256:2'
  const ofDigest = containerRecord({ spec, imageId: 'sha256:1', imageDigest })
  expect(containerToWire(ofDigest)).toMatchObject({ imageRef: 'sha256:1', imageId: 'sha256:1' })
  expect(containerStatusToWire(ofDigest)).toMatchObject({ imageRef: imageDigest, imageId: 'sha256:1' })
  const unnamed = containerSpec({ imageReference: 'busybox' })
  expect(containerToWire(containerRecord({ spec: unnamed })).image?.image).toBe('busybox')
})

test('a status has what the container runs with', () => {
  const mount = {
    containerPath: '/a',
    hostPath: '/b',
    readonly: true,
    propagation: 'host-to-container',
  } as const
  const resources = {
    ...noResources,
    cpuShares: 512,
    hugepageLimits: [{ pageSize: '2MB', limitBytes: 4096 }],
  }
  const record = containerRecord({
    spec: containerSpec({ mounts: [mount], resources }),
    user: { uid: 1000, gid: 100, additionalGids: [100, 50_000] },
    logFile: '/var/log/pods/web/nginx/0.log',
    stopSignal: 'SIGQUIT',
  })
  expect(containerStatusToWire(record)).toMatchObject({
    mounts: [{ containerPath: '/a', hostPath: '/b', readonly: true, propagation: 1, mountOptions: [] }],
    resources: { linux: { cpuShares: 512n, hugepageLimits: [{ pageSize: '2MB', limit: 4096n }] } },
    user: { linux: { uid: 1000n, gid: 100n, supplementalGroups: [100n, 50_000n] } },
    logPath: '/var/log/pods/web/nginx/0.log',
    stopSignal: Signal.SIGNAL_SIGQUIT,
  })
  expect(containerStatusToWire(record)).not.toHaveProperty('podSandboxId')
})

const startedAtNs = '1700000001000000000'
const exit = {
  phase: 'exited',
  startedAtNs,
  finishedAtNs: '1700000002000000001',
  exitCode: 137,
  reason: 'OOMKilled',
  message: 'memory limit of 4 MiB',
} as const

test.for([
  [{ phase: 'created', init: process, monitor: process }, ContainerState.CONTAINER_CREATED, {}],
  [
    { phase: 'running', init: process, monitor: process, startedAtNs },
    ContainerState.CONTAINER_RUNNING,
    { startedAt: 1_700_000_001_000_000_000n },
  ],
  [
    exit,
    ContainerState.CONTAINER_EXITED,
    {
      startedAt: 1_700_000_001_000_000_000n,
      finishedAt: 1_700_000_002_000_000_001n,
      exitCode: 137,
      reason: 'OOMKilled',
      message: 'memory limit of 4 MiB',
    },
  ],
  [
    { ...exit, startedAtNs: undefined, reason: 'StartError' },
    ContainerState.CONTAINER_EXITED,
    { startedAt: 0n, finishedAt: 1_700_000_002_000_000_001n, exitCode: 137, reason: 'StartError' },
  ],
] as const)('the life of a container that is $phase: %#', ([state, expected, life]) => {
  const none = { startedAt: 0n, finishedAt: 0n, exitCode: 0, reason: '', message: '' }
  const status = containerStatusToWire(containerRecord({ state }))
  expect(status).toMatchObject({
    ...none,
    message: 'message' in state ? state.message : '',
    ...life,
    state: expected,
  })
})
