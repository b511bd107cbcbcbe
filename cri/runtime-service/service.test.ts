import { describe, expect, test } from 'vitest'
import * as wire from '#proto/gen/runtime/v1/api.ts'
import {
  containerRecord,
  containerSpec,
  fakeCall,
  fakeRuntimeService,
  fakeStatus,
  noResources,
  sandboxRecord,
  sandboxSpec,
} from '../fake-services.ts'

const call = fakeCall()

test('Version names the daemon and the version of the API', async () => {
  expect(await fakeRuntimeService().table.version({ version: 'v1' }, call)).toEqual({
    version: '0.1.0',
    runtimeName: 'cri-ts',
    runtimeVersion: '0.1.0',
    runtimeApiVersion: 'v1',
  })
})

test.for([
  ['systemd', wire.CgroupDriver.SYSTEMD],
  ['cgroupfs', wire.CgroupDriver.CGROUPFS],
] as const)('RuntimeConfig tells kubelet the cgroup driver %s', async ([cgroupDriver, expected]) => {
  const { table } = fakeRuntimeService({}, fakeStatus({ cgroupDriver }))
  expect(await table.runtimeConfig({}, call)).toEqual({ linux: { cgroupDriver: expected } })
})

describe('RunPodSandbox', () => {
  const config: wire.PodSandboxConfig = {
    ...wire.PodSandboxConfig.decode(new Uint8Array()),
    metadata: { name: 'web', uid: 'u1', namespace: 'default', attempt: 0 },
  }

  test.for([
    ['', 'crun'],
    ['runc', 'runc'],
  ] as const)('the handler "%s" is %s', async ([runtimeHandler, handler]) => {
    const { table, journal } = fakeRuntimeService()
    expect(await table.runPodSandbox({ config, runtimeHandler }, call)).toEqual({
      podSandboxId: 'new-sandbox',
    })
    expect(journal).toEqual([['run', sandboxSpec({ handler })]])
  })

  test('an unknown handler is refused with those that there are', async () => {
    const { table, journal } = fakeRuntimeService()
    await expect(async () =>
      table.runPodSandbox({ config, runtimeHandler: 'rnc' }, call),
    ).rejects.toMatchObject({
      kind: 'invalid-argument',
      message: expect.stringContaining('(did you mean runc?): this host has runc, crun'),
    })
    expect(journal).toEqual([])
  })

  test('a host without any handler says so', async () => {
    const { table } = fakeRuntimeService({}, fakeStatus({ handlers: () => [] }))
    await expect(async () => table.runPodSandbox({ config, runtimeHandler: '' }, call)).rejects.toThrow(
      'runtime_handler (the default) is not configured, or its program not installed: this host has none',
    )
  })
})

describe('CreateContainer', () => {
  const config: wire.ContainerConfig = {
    ...wire.ContainerConfig.decode(new Uint8Array()),
    metadata: { name: 'nginx', attempt: 0 },
    image: wire.ImageSpec.decode(wire.ImageSpec.encode({ ...noImage(), image: 'sha256:1' }).finish()),
  }

  test('the container is created in its sandbox', async () => {
    const { table, journal } = fakeRuntimeService()
    const request = { podSandboxId: 's1', config, sandboxConfig: undefined }
    expect(await table.createContainer(request, call)).toEqual({ containerId: 'new-container' })
    expect(journal).toEqual([['create', containerSpec()]])
  })

  test('an unknown sandbox is NOT_FOUND', async () => {
    const request = { podSandboxId: 'nope', config, sandboxConfig: undefined }
    await expect(async () => fakeRuntimeService().table.createContainer(request, call)).rejects.toMatchObject(
      {
        kind: 'not-found',
        message: 'sandbox nope not found',
      },
    )
  })

  test('a privileged container needs a privileged sandbox', async () => {
    const securityContext = {
      ...wire.LinuxContainerSecurityContext.decode(new Uint8Array()),
      privileged: true,
    }
    const privileged = { ...config, linux: { resources: undefined, securityContext } }
    const request = { podSandboxId: 's1', config: privileged, sandboxConfig: undefined }
    await expect(async () => fakeRuntimeService().table.createContainer(request, call)).rejects.toMatchObject(
      {
        kind: 'invalid-argument',
        message: expect.stringContaining(
          'linux.security_context.privileged is true, but not of its sandbox s1',
        ),
      },
    )
    const { table, journal } = fakeRuntimeService({
      sandboxes: [sandboxRecord({ spec: sandboxSpec({ privileged: true }) })],
    })
    await table.createContainer(request, call)
    expect(journal).toHaveLength(1)
  })
})

function noImage(): wire.ImageSpec {
  return wire.ImageSpec.decode(new Uint8Array())
}

const gone = { podSandboxId: 'gone', containerId: 'gone', timeout: 1n, verbose: false }

test.for(['stopPodSandbox', 'removePodSandbox', 'stopContainer', 'removeContainer'] as const)(
  '%s of what is gone succeeds',
  async (name) => {
    const answer: unknown = await Promise.resolve(fakeRuntimeService().table[name](gone, call))
    expect(answer).toEqual({})
  },
)

test.for(['podSandboxStatus', 'containerStatus', 'startContainer', 'reopenContainerLog'] as const)(
  '%s of what is not there is NOT_FOUND',
  async (name) => {
    await expect(async () => fakeRuntimeService().table[name](gone, call)).rejects.toMatchObject({
      kind: 'not-found',
    })
  },
)

test('a container that is being created has no status yet', async () => {
  const { table } = fakeRuntimeService({ containers: [containerRecord({ state: { phase: 'creating' } })] })
  const request = { containerId: 'c1', verbose: false }
  await expect(async () => table.containerStatus(request, call)).rejects.toMatchObject({ kind: 'not-found' })
})

test('a verbose status has the pid where scripts look for it', async () => {
  const { table } = fakeRuntimeService()
  const container = await table.containerStatus({ containerId: 'c1', verbose: true }, call)
  expect(JSON.parse(container.info['info'] ?? '')).toMatchObject({ pid: 42, sandboxID: 's1' })
  const sandbox = await table.podSandboxStatus({ podSandboxId: 's1', verbose: true }, call)
  expect(JSON.parse(sandbox.info['info'] ?? '')).toMatchObject({ pid: 0, handler: 'crun' })
  expect(await table.podSandboxStatus({ podSandboxId: 's1', verbose: false }, call)).toMatchObject({
    info: {},
  })
})

describe('StopContainer', () => {
  test.for([
    [0n, 0],
    [30n, 30_000],
    [2n ** 63n - 1n, 2 ** 31 - 1],
  ] as const)('a timeout of %s s is a grace period of %s ms', async ([timeout, graceMs]) => {
    const { table, journal } = fakeRuntimeService()
    await table.stopContainer({ containerId: 'c1', timeout }, call)
    expect(journal).toEqual([['stop', 'c1', graceMs]])
  })

  test('a negative timeout is refused', async () => {
    await expect(async () =>
      fakeRuntimeService().table.stopContainer({ containerId: 'c1', timeout: -1n }, call),
    ).rejects.toThrow('timeout is -1: it may be 0 or more seconds')
  })
})

test('UpdateContainerResources hands on what is given, and zero for what is not', async () => {
  const { table, journal } = fakeRuntimeService()
  const linux = { ...wire.LinuxContainerResources.decode(new Uint8Array()), cpuShares: 512n }
  const request = { containerId: 'c1', linux, windows: undefined, annotations: { a: 'b' } }
  await table.updateContainerResources(request, call)
  expect(journal).toEqual([['update', 'c1', { ...noResources, cpuShares: 512 }]])
})

test('CheckpointContainer hands on where to and how long', async () => {
  const { table, journal } = fakeRuntimeService()
  await table.checkpointContainer({ containerId: 'c1', location: '/c1.tar', timeout: 30n }, call)
  expect(journal).toEqual([['checkpoint', 'c1', '/c1.tar', 30_000]])
})

test('the streams answer what the lists answer, in batches', async () => {
  const containers = Array.from({ length: 101 }, (_, n) => containerRecord({ id: `c${n}` }))
  const sandboxes = Array.from({ length: 51 }, (_, n) => sandboxRecord({ id: `s${n}` }))
  const { table } = fakeRuntimeService({ containers, sandboxes })
  const batches = await Array.fromAsync(table.streamContainers({ filter: undefined }, call))
  expect(batches.map((batch) => batch.containers.length)).toEqual([50, 50, 1])
  const list = await table.listContainers({ filter: undefined }, call)
  expect(batches.flatMap((batch) => batch.containers)).toEqual(list.containers)
  const pods = await Array.fromAsync(table.streamPodSandboxes({ filter: undefined }, call))
  expect(pods.flatMap((batch) => batch.podSandboxes)).toEqual(
    (await table.listPodSandbox({ filter: undefined }, call)).items,
  )
})
