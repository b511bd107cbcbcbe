import { mkdirSync, readdirSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CriClient, Message } from '#cri/client.ts'
import { cgroupParent } from '#test/e2e/cgroup-driver.ts'
import { isolation } from '#test/e2e/isolation.ts'
import type { Samples } from './samples.ts'

export interface BenchTarget {
  readonly client: CriClient
  readonly handler: string
  readonly image: string
  readonly logDirectory: string
  readonly hostNetwork: boolean
  /** The profile that the container asks for; Unconfined where there is none. */
  readonly seccomp?: 'RuntimeDefault'
}

let serial = 0

/** One pod with one container under limits, as kubelet would ask for it. Each call is timed where `samples` is given. */
export async function startPod(target: BenchTarget, samples?: Samples): Promise<BenchPod> {
  serial += 1
  const pod = new BenchPod(target, `bench-${process.pid}-${serial}`)
  await pod.start(samples)
  return pod
}

export class BenchPod {
  readonly #target: BenchTarget
  readonly #config: Message
  sandboxId = ''
  containerId = ''

  constructor(target: BenchTarget, name: string) {
    this.#target = target
    this.#config = {
      metadata: { name, uid: name, namespace: 'bench', attempt: 0 },
      hostname: target.hostNetwork ? '' : name,
      log_directory: join(target.logDirectory, name),
      dns_config: { servers: ['10.96.0.10'], searches: ['cluster.local'] },
      linux: {
        cgroup_parent: join(cgroupParent(isolation()), name),
        security_context: {
          namespace_options: { network: target.hostNetwork ? 'NODE' : 'POD', pid: 'CONTAINER' },
        },
      },
    }
    mkdirSync(this.#config['log_directory'], { recursive: true })
  }

  async start(samples?: Samples): Promise<void> {
    const { client, handler } = this.#target
    const begin = performance.now()
    const call = (rpc: string, request: object): Promise<Message> =>
      samples === undefined ? client.call(rpc, request) : samples.time(rpc, () => client.call(rpc, request))
    const sandbox = await call('RunPodSandbox', { config: this.#config, runtime_handler: handler })
    this.sandboxId = sandbox['pod_sandbox_id']
    const container = await call('CreateContainer', {
      pod_sandbox_id: this.sandboxId,
      config: this.#containerConfig(),
      sandbox_config: this.#config,
    })
    this.containerId = container['container_id']
    await call('StartContainer', { container_id: this.containerId })
    while ((await this.state()) === 'CONTAINER_CREATED') await sleep(1)
    samples?.add('pod to Running', performance.now() - begin)
  }

  async remove(samples?: Samples): Promise<void> {
    const { client } = this.#target
    const request = { pod_sandbox_id: this.sandboxId }
    const begin = performance.now()
    for (const rpc of ['StopPodSandbox', 'RemovePodSandbox']) {
      if (samples === undefined) await client.call(rpc, request)
      else await samples.time(rpc, () => client.call(rpc, request))
    }
    samples?.add('stop and remove', performance.now() - begin)
    rmSync(this.#config['log_directory'], { recursive: true })
    removeCgroup(this.#config['linux'].cgroup_parent)
  }

  async state(): Promise<string> {
    return (await this.#target.client.call('ContainerStatus', { container_id: this.containerId }))['status']
      .state
  }

  #containerConfig(): Message {
    return {
      metadata: { name: 'app', attempt: 0 },
      image: { image: this.#target.image },
      // Its shell heeds SIGTERM: as PID 1 a plain sleep would not.
      command: ['sh', '-c', "trap 'exit 0' TERM; while :; do sleep 3600 & wait; done"],
      log_path: 'app.log',
      envs: [{ key: 'KUBERNETES_SERVICE_HOST', value: Buffer.from('10.96.0.1') }],
      linux: {
        resources: { cpu_shares: 102, memory_limit_in_bytes: 128 << 20, oom_score_adj: 1000 },
        security_context: {
          ...this.#config['linux'].security_context,
          seccomp: { profile_type: this.#target.seccomp ?? 'Unconfined' },
        },
      },
    }
  }
}

/** As kubelet does with a pod's cgroup, in the v2 hierarchy or in each of v1. */
function removeCgroup(path: string): void {
  for (const hierarchy of ['', ...readdirSync('/sys/fs/cgroup')]) {
    try {
      rmdirSync(join('/sys/fs/cgroup', hierarchy, path))
    } catch {
      // Not there.
    }
  }
}
