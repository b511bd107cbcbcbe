import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Message } from '#cri/client.ts'
import { type Fields, IMAGE, POD } from '#test/e2e/pod.ts'
import { until } from '#test/e2e/until.ts'
import {
  checkRun,
  containerRequest,
  containers,
  create,
  createRequest,
  expectExited,
  expectRunning,
  expectTold,
  runContainer,
  runRequest,
  runSandbox,
  type Subject,
  sandboxes,
  sandboxRequest,
  start,
  withPid,
} from './subject.ts'

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

/** With a host port, which CNI's portmap takes and gives back. */
const PORTS = { port_mappings: [{ protocol: 0, container_port: 80, host_port: 18_080 }] }
const IMAGE_VOLUME = {
  image: { image: IMAGE },
  image_sub_path: 'etc',
  container_path: '/image',
  readonly: true,
}
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
    container: {
      mounts: [{ host_path: '/run/cri-ts-crash-volume', container_path: '/volume' }, IMAGE_VOLUME],
    },
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
    container: { mounts: [IMAGE_VOLUME] },
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
