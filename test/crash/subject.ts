import { readFileSync } from 'node:fs'
import { expect } from 'vitest'
import type { Message } from '#cri/client.ts'
import type { Daemon } from '#test/e2e/daemon.ts'
import { CONTAINER, containerConfig, type Fields, podConfig, SLEEP } from '#test/e2e/pod.ts'
import { until } from '#test/e2e/until.ts'

/** What an operation works on; each point has its own. */
export interface Subject {
  readonly daemon: Daemon
  readonly handler: string
  readonly pod: Fields
  readonly container: Fields
  sandboxId: string
  containerId: string
}

export const withPid = (pid: number): Fields => ({ security_context: { namespace_options: { pid } } })

export function subjectOf(
  daemon: Daemon,
  handler: string,
  { pod, container }: { readonly pod?: Fields; readonly container?: Fields },
): Subject {
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

export function runRequest({ pod, handler }: Subject): object {
  return { config: pod, runtime_handler: handler }
}

export async function checkRun(subject: Subject, { pod_sandbox_id }: Message): Promise<void> {
  subject.sandboxId = pod_sandbox_id
  expect(await sandboxes(subject)).toMatchObject([{ id: pod_sandbox_id, state: 'SANDBOX_READY' }])
  const { status } = await subject.daemon.rpc('PodSandboxStatus', sandboxRequest(subject))
  expect(status.network.ip).toMatch(/^10\./)
  await create(subject)
  await start(subject)
}

export function sandboxRequest({ sandboxId }: Subject): object {
  return { pod_sandbox_id: sandboxId }
}

export function createRequest({ sandboxId, pod, container }: Subject): object {
  return { pod_sandbox_id: sandboxId, config: container, sandbox_config: pod }
}

export function containerRequest({ containerId }: Subject): object {
  return { container_id: containerId }
}

export async function runSandbox(subject: Subject): Promise<void> {
  const { pod_sandbox_id } = await subject.daemon.rpc('RunPodSandbox', runRequest(subject))
  subject.sandboxId = pod_sandbox_id
}

export async function create(subject: Subject): Promise<void> {
  const { container_id } = await subject.daemon.rpc('CreateContainer', createRequest(subject))
  subject.containerId = container_id
}

export async function start(subject: Subject): Promise<void> {
  await subject.daemon.rpc('StartContainer', containerRequest(subject))
  await expectRunning(subject)
}

export async function runContainer(subject: Subject): Promise<void> {
  await runSandbox(subject)
  await create(subject)
  await start(subject)
}

export async function expectRunning(subject: Subject): Promise<void> {
  expect(await containers(subject)).toMatchObject([{ id: subject.containerId, state: 'CONTAINER_RUNNING' }])
  const answer = await subject.daemon.rpc('ExecSync', {
    ...containerRequest(subject),
    cmd: ['true'],
    timeout: 10,
  })
  expect(answer['exit_code']).toBe(0)
}

/** A container that is listed as created does not run: kubelet would start another one beside it. */
export async function expectTold(subject: Subject): Promise<void> {
  const request = { ...containerRequest(subject), verbose: true }
  const { status, info } = await subject.daemon.rpc('ContainerStatus', request)
  const { pid } = JSON.parse(info.info)
  const runs = readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(SLEEP.join('\0'))
  expect(status.state).toBe(runs ? 'CONTAINER_RUNNING' : 'CONTAINER_CREATED')
}

export async function expectExited(subject: Subject, exit: Fields): Promise<void> {
  const { status } = await subject.daemon.rpc('ContainerStatus', containerRequest(subject))
  expect(status).toMatchObject({ state: 'CONTAINER_EXITED', ...exit })
  expect(BigInt(status.finished_at)).toBeGreaterThan(BigInt(status.started_at))
  const isMounted = () => readFileSync('/proc/self/mountinfo', 'utf8').includes(subject.containerId)
  await until('its root file system is unmounted', () => !isMounted())
}

export async function sandboxes({ daemon }: Subject): Promise<readonly Message[]> {
  return (await daemon.rpc('ListPodSandbox'))['items']
}

export async function containers({ daemon }: Subject): Promise<readonly Message[]> {
  return (await daemon.rpc('ListContainers'))['containers']
}
