import { randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Message } from '#cri/client.ts'
import { cgroupParent } from './cgroup-driver.ts'
import type { Daemon } from './daemon.ts'
import { isolation } from './isolation.ts'
import { until } from './until.ts'

export const IMAGE = 'localhost/e2e/busybox:latest'
export const SLEEP = ['sleep', '3600'] as const
/** NamespaceMode of api.proto, which crictl takes as a number. */
export const POD = 0
export const CONTAINER = 1
export const NODE = 2

/** A message of api.proto with its field names, enums as numbers: crictl reads it as JSON. */
export type Fields = { readonly [field: string]: unknown }

export interface Container {
  readonly id: string
  readonly config: Fields
  start(): Promise<void>
  /** `status` of ContainerStatus. */
  status(): Promise<Message>
  /** Waits for its end, and answers its status then. */
  exited(): Promise<Message>
  /** stdout of a command in it, which must succeed. */
  exec(...command: readonly string[]): Promise<string>
}

/** A ready sandbox; `await using` stops and removes it. */
export interface Pod extends AsyncDisposable {
  readonly id: string
  readonly config: Fields
  readonly logDirectory: string
  status(): Promise<Message>
  /** Creates a container without starting it. */
  create(fields?: Fields): Promise<Container>
  /** Creates and starts one. */
  run(fields?: Fields): Promise<Container>
}

/** The cgroup in which all pods of a daemon lie. */
export const podsCgroup = (daemon: Daemon): string =>
  cgroupParent(`${isolation()}-${basename(daemon.directory)}`)

/** What kubelet would send for a small pod, with `fields` over it. */
export function podConfig(daemon: Daemon, fields: Fields = {}): Fields {
  const uid = randomUUID()
  return {
    metadata: { name: `pod-${uid.slice(0, 8)}`, namespace: 'e2e', uid, attempt: 0 },
    hostname: `pod-${uid.slice(0, 8)}`,
    log_directory: join(daemon.directory, 'logs', uid),
    labels: { app: 'e2e' },
    ...fields,
    linux: {
      cgroup_parent: podsCgroup(daemon),
      ...(fields['linux'] as Fields | undefined),
    },
  }
}

export const containerConfig = (fields: Fields = {}): Fields => ({
  metadata: { name: `container-${randomUUID().slice(0, 8)}`, attempt: 0 },
  image: { image: IMAGE },
  command: SLEEP,
  log_path: 'container.log',
  ...fields,
})

/** Writes a message as a file for crictl. */
export function messageFile(daemon: Daemon, message: Fields): string {
  const directory = join(daemon.directory, 'requests')
  mkdirSync(directory, { recursive: true })
  const path = join(directory, `${randomUUID()}.json`)
  writeFileSync(path, JSON.stringify(message))
  return path
}

export async function runPod(daemon: Daemon, handler: string, fields: Fields = {}): Promise<Pod> {
  const config = podConfig(daemon, fields)
  const configFile = messageFile(daemon, config)
  const id = (await daemon.crictl('runp', '--runtime', handler, configFile)).trim()
  const create = async (over: Fields = {}): Promise<Container> => {
    const wanted = containerConfig(over)
    const file = messageFile(daemon, wanted)
    return containerOf(
      daemon,
      (await daemon.crictl('create', '--no-pull', id, file, configFile)).trim(),
      wanted,
    )
  }
  return {
    id,
    config,
    logDirectory: `${config['log_directory']}`,
    status: async () => (await daemon.rpc('PodSandboxStatus', { pod_sandbox_id: id }))['status'],
    create,
    async run(over) {
      const container = await create(over)
      await container.start()
      return container
    },
    async [Symbol.asyncDispose]() {
      await daemon.rpc('StopPodSandbox', { pod_sandbox_id: id })
      await daemon.rpc('RemovePodSandbox', { pod_sandbox_id: id })
    },
  }
}

export function containerOf(daemon: Daemon, id: string, config: Fields): Container {
  const status = async (): Promise<Message> =>
    (await daemon.rpc('ContainerStatus', { container_id: id }))['status']
  return {
    id,
    config,
    start: async () => void (await daemon.crictl('start', id)),
    status,
    async exited() {
      await until(`container ${id} exits`, async () => (await status())['state'] === 'CONTAINER_EXITED')
      return status()
    },
    async exec(...command) {
      const answer = await daemon.rpc('ExecSync', { container_id: id, cmd: command, timeout: 10 })
      const [stdout, stderr] = [answer['stdout'], answer['stderr']].map(String)
      if (answer['exit_code'] !== 0)
        throw new Error(`${command.join(' ')}: ${answer['exit_code']}: ${stderr}`)
      return stdout?.trimEnd() ?? ''
    },
  }
}
