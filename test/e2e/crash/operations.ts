import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Message } from '#cri/client.ts'
import type { Daemon } from '../daemon.ts'
import { CONTAINER, containerConfig, type Fields, POD, podConfig, SLEEP } from '../pod.ts'
import { until } from '../until.ts'

/** What an operation works on; each point has its own. */
export interface Subject {
  readonly daemon: Daemon
  readonly handler: string
  readonly pod: Fields
  readonly container: Fields
  sandboxId: string
  containerId: string
}

/** A call of the CRI that is interrupted, and repeated as kubelet does. */
export interface Operation {
  readonly name: string
  readonly rpc: string
  readonly pod?: Fields
  readonly container?: Fields
  /** The effect that ends it, where that comes after the answer. */
  readonly last?: string
  /** Brings the subject to where the call comes. */
  prepare(subject: Subject): Promise<void>
  request(subject: Subject): object
  /** What must be so after the restart, before anything is asked. */
  afterRestart?(subject: Subject): Promise<void>
  /** What must be so once the repeated call has answered. */
  check(subject: Subject, answer: Message): Promise<void>
}

const withPid = (pid: number): Fields => ({ security_context: { namespace_options: { pid } } })
/** With a host port, which CNI's portmap takes and gives back. */
const PORTS = { port_mappings: [{ protocol: 0, container_port: 80, host_port: 18_080 }] }
const EXITS_WITH_3 = ['sh', '-c', 'trap "exit 3" TERM; echo ready; while :; do sleep 0.01; done']

export const OPERATIONS: readonly Operation[] = [
  {
    name: 'RunPodSandbox',
    rpc: 'RunPodSandbox',
    pod: PORTS,
    prepare: async () => {},
    request: runRequest,
    check: checkRun,
  },
  {
    name: 'RunPodSandbox with a shared PID namespace',
    rpc: 'RunPodSandbox',
    pod: { linux: withPid(POD) },
    prepare: async () => {},
    request: runRequest,
    check: checkRun,
  },
  {
    name: 'CreateContainer',
    rpc: 'CreateContainer',
    container: { mounts: [{ host_path: '/run/cri-ts-crash-volume', container_path: '/volume' }] },
    prepare: runSandbox,
    request: createRequest,
    async check(subject, { container_id }) {
      subject.containerId = container_id
      expect(await containers(subject)).toMatchObject([{ id: container_id, state: 'CONTAINER_CREATED' }])
      await start(subject)
    },
  },
  {
    name: 'StartContainer',
    rpc: 'StartContainer',
    async prepare(subject) {
      await runSandbox(subject)
      await create(subject)
    },
    request: containerRequest,
    afterRestart: expectTold,
    check: expectRunning,
  },
  {
    name: 'StopContainer',
    rpc: 'StopContainer',
    container: { command: EXITS_WITH_3 },
    last: 'rootfs.unmount#1',
    async prepare(subject) {
      await runContainer(subject)
      const log = join(`${subject.pod['log_directory']}`, 'container.log')
      await until('it traps SIGTERM', () => readFileSync(log, 'utf8').includes('ready'))
    },
    request: ({ containerId }) => ({ container_id: containerId, timeout: 5 }),
    check: (subject) => expectExited(subject, { exit_code: 3, reason: 'Error' }),
  },
  {
    name: 'StopContainer without a grace period',
    rpc: 'StopContainer',
    last: 'rootfs.unmount#1',
    prepare: runContainer,
    request: ({ containerId }) => ({ container_id: containerId, timeout: 0 }),
    check: (subject) => expectExited(subject, { exit_code: 137 }),
  },
  {
    name: 'RemoveContainer of one that runs',
    rpc: 'RemoveContainer',
    prepare: runContainer,
    request: containerRequest,
    async check(subject) {
      expect(await containers(subject)).toEqual([])
      expect(await sandboxes(subject)).toMatchObject([{ state: 'SANDBOX_READY' }])
    },
  },
  {
    name: 'StopPodSandbox',
    rpc: 'StopPodSandbox',
    pod: PORTS,
    prepare: runContainer,
    request: sandboxRequest,
    async check(subject) {
      expect(await sandboxes(subject)).toMatchObject([{ state: 'SANDBOX_NOTREADY' }])
      await expectExited(subject, { exit_code: 137 })
    },
  },
  {
    name: 'RemovePodSandbox of one that is ready, with a shared PID namespace',
    rpc: 'RemovePodSandbox',
    pod: { ...PORTS, linux: withPid(POD) },
    prepare: runContainer,
    request: sandboxRequest,
    async check(subject) {
      expect(await sandboxes(subject)).toEqual([])
      expect(await containers(subject)).toEqual([])
    },
  },
]

/** They do not depend on a handler; the image is run all the same. */
export const imageOperations = (image: string) =>
  ({
    PullImage: {
      name: 'PullImage',
      rpc: 'PullImage',
      container: { image: { image } },
      prepare: async () => {},
      request: () => ({ image: { image } }),
      async check(subject, { image_ref }) {
        const { images } = await subject.daemon.rpc('ListImages', { filter: { image: { image } } })
        expect(images).toMatchObject([{ id: image_ref, repo_tags: [image] }])
        await runContainer(subject)
        await endPod(subject)
        await subject.daemon.rpc('RemoveImage', { image: { image } })
      },
    },
    RemoveImage: {
      name: 'RemoveImage',
      rpc: 'RemoveImage',
      prepare: async ({ daemon }) => void (await daemon.rpc('PullImage', { image: { image } })),
      request: () => ({ image: { image } }),
      async check({ daemon }) {
        expect((await daemon.rpc('ImageStatus', { image: { image } }))['image']).toBeNull()
      },
    },
  }) satisfies { readonly [rpc: string]: Operation }

export function subjectOf(daemon: Daemon, handler: string, { pod, container }: Operation): Subject {
  return {
    daemon,
    handler,
    pod: podConfig(daemon, { linux: withPid(CONTAINER), ...pod }),
    container: containerConfig({ linux: withPid(CONTAINER), ...container }),
    sandboxId: '',
    containerId: '',
  }
}

/** As kubelet ends a pod; then nothing is listed. */
export async function endPod(subject: Subject): Promise<void> {
  const { daemon } = subject
  for (const { id } of await sandboxes(subject)) {
    await daemon.rpc('StopPodSandbox', { pod_sandbox_id: id })
    await daemon.rpc('RemovePodSandbox', { pod_sandbox_id: id })
  }
  expect([...(await sandboxes(subject)), ...(await containers(subject))]).toEqual([])
}

function runRequest({ pod, handler }: Subject): object {
  return { config: pod, runtime_handler: handler }
}

async function checkRun(subject: Subject, { pod_sandbox_id }: Message): Promise<void> {
  subject.sandboxId = pod_sandbox_id
  expect(await sandboxes(subject)).toMatchObject([{ id: pod_sandbox_id, state: 'SANDBOX_READY' }])
  const { status } = await subject.daemon.rpc('PodSandboxStatus', sandboxRequest(subject))
  expect(status.network.ip).toMatch(/^10\./)
  await create(subject)
  await start(subject)
}

function sandboxRequest({ sandboxId }: Subject): object {
  return { pod_sandbox_id: sandboxId }
}

function createRequest({ sandboxId, pod, container }: Subject): object {
  return { pod_sandbox_id: sandboxId, config: container, sandbox_config: pod }
}

function containerRequest({ containerId }: Subject): object {
  return { container_id: containerId }
}

async function runSandbox(subject: Subject): Promise<void> {
  const { pod_sandbox_id } = await subject.daemon.rpc('RunPodSandbox', runRequest(subject))
  subject.sandboxId = pod_sandbox_id
}

async function create(subject: Subject): Promise<void> {
  const { container_id } = await subject.daemon.rpc('CreateContainer', createRequest(subject))
  subject.containerId = container_id
}

async function start(subject: Subject): Promise<void> {
  await subject.daemon.rpc('StartContainer', containerRequest(subject))
  await expectRunning(subject)
}

async function runContainer(subject: Subject): Promise<void> {
  await runSandbox(subject)
  await create(subject)
  await start(subject)
}

async function expectRunning(subject: Subject): Promise<void> {
  expect(await containers(subject)).toMatchObject([{ id: subject.containerId, state: 'CONTAINER_RUNNING' }])
  const answer = await subject.daemon.rpc('ExecSync', {
    ...containerRequest(subject),
    cmd: ['true'],
    timeout: 10,
  })
  expect(answer['exit_code']).toBe(0)
}

/** A container that is listed as created does not run: kubelet would start another one beside it. */
async function expectTold(subject: Subject): Promise<void> {
  const request = { ...containerRequest(subject), verbose: true }
  const { status, info } = await subject.daemon.rpc('ContainerStatus', request)
  const { pid } = JSON.parse(info.info)
  const runs = readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(SLEEP.join('\0'))
  expect(status.state).toBe(runs ? 'CONTAINER_RUNNING' : 'CONTAINER_CREATED')
}

async function expectExited(subject: Subject, exit: Fields): Promise<void> {
  const { status } = await subject.daemon.rpc('ContainerStatus', containerRequest(subject))
  expect(status).toMatchObject({ state: 'CONTAINER_EXITED', ...exit })
  expect(BigInt(status.finished_at)).toBeGreaterThan(BigInt(status.started_at))
  const isMounted = () => readFileSync('/proc/self/mountinfo', 'utf8').includes(subject.containerId)
  await until('its root file system is unmounted', () => !isMounted())
}

async function sandboxes({ daemon }: Subject): Promise<readonly Message[]> {
  return (await daemon.rpc('ListPodSandbox'))['items']
}

async function containers({ daemon }: Subject): Promise<readonly Message[]> {
  return (await daemon.rpc('ListContainers'))['containers']
}
