import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Message } from '#cri/client.ts'
import { cgroupParent } from '#test/e2e/cgroup-driver.ts'
import { isolation } from '#test/e2e/isolation.ts'
import type { Runtime } from './runtimes.ts'
import { IMAGE } from './streaming-image.ts'

const GIB = 1 << 30
const MIB = 1 << 20

/** What a connection to a port of the pod gets: hack/stream-client/serve.go. */
export const ports = {
  download: { port: 80, receive: 0, send: GIB },
  upload: { port: 81, receive: 256 * MIB, send: 5 },
  small: { port: 82, receive: 0, send: 100 << 10 },
} as const

/** A pod of one container, in which the loads are served; `await using` stops and removes it. */
export interface StreamingPod extends AsyncDisposable {
  readonly sandboxId: string
  /** The URL of a new Exec with these streams. */
  exec(command: readonly string[], streams: readonly string[]): Promise<string>
  /** The URL of a new PortForward. */
  portForward(): Promise<string>
}

let serial = 0

export async function startStreamingPod(
  { client, directory }: Runtime,
  handler: string,
): Promise<StreamingPod> {
  serial += 1
  const name = `streaming-${serial}`
  const config: Message = {
    metadata: { name, uid: name, namespace: 'bench', attempt: 0 },
    hostname: name,
    log_directory: join(directory, 'logs', name),
    linux: { cgroup_parent: `${cgroupParent(isolation())}` },
  }
  mkdirSync(config['log_directory'], { recursive: true })
  const sandbox = await client.call('RunPodSandbox', { config, runtime_handler: handler })
  const sandboxId: string = sandbox['pod_sandbox_id']
  const specs = Object.values(ports).map(({ port, receive, send }) => `${port}:${receive}:${send}`)
  const container = await client.call('CreateContainer', {
    pod_sandbox_id: sandboxId,
    config: {
      metadata: { name: 'app', attempt: 0 },
      image: { image: IMAGE },
      command: ['stream-client', 'serve', '--ports', specs.join(',')],
      log_path: 'app.log',
      linux: {},
    },
    sandbox_config: config,
  })
  const containerId: string = container['container_id']
  await client.call('StartContainer', { container_id: containerId })
  return {
    sandboxId,
    async exec(command, streams) {
      const asked = Object.fromEntries(streams.map((stream) => [stream, true]))
      const request = { container_id: containerId, cmd: command, ...asked }
      return (await client.call('Exec', request))['url']
    },
    portForward: async () => (await client.call('PortForward', { pod_sandbox_id: sandboxId }))['url'],
    async [Symbol.asyncDispose]() {
      await client.call('StopPodSandbox', { pod_sandbox_id: sandboxId })
      await client.call('RemovePodSandbox', { pod_sandbox_id: sandboxId })
    },
  }
}
