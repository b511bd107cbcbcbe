import { containerSpec, sandboxSpec } from './records.ts'
import type { RuntimeLab } from './runtime-lab.ts'

/** A request to the runtime with what it needs done before, for the tests that break it at each of its effects. */
export interface Operation {
  readonly name: string
  /** Whether a failure must leave the host as it was (a creation), or goes on being undone (a removal). */
  readonly kind: 'makes' | 'unmakes' | 'changes'
  prepare(lab: RuntimeLab): Promise<Subject>
  act(lab: RuntimeLab, subject: Subject): Promise<unknown>
}

export interface Subject {
  readonly sandboxId: string
  readonly containerId: string
}

const plainPod = sandboxSpec()
const podWithInit = sandboxSpec({ namespaces: { network: 'pod', pid: 'pod', ipc: 'pod' } })
const hostNetworkPod = sandboxSpec({ namespaces: { network: 'node', pid: 'container', ipc: 'node' } })
const portPod = sandboxSpec({
  portMappings: [{ protocol: 'tcp', containerPort: 80, hostPort: 8080, hostIp: '' }],
})

const runcPod = sandboxSpec({ handler: 'runc' })
const ids = { containerId: 0, hostId: 100_000, length: 65_536 }
const user = { uids: ids, gids: ids }
const userPod = sandboxSpec({ namespaces: { network: 'pod', pid: 'container', ipc: 'pod', user } })

const sysctlPod = sandboxSpec({ sysctls: { 'net.ipv4.conf.eth0.rp_filter': '0' } })

const selinuxSpecIn = (sandboxId: string) =>
  containerSpec({
    sandboxId,
    mounts: [
      {
        ...{ containerPath: '/data', hostPath: '/srv/data', readonly: false, propagation: 'private' },
        selinuxRelabel: true,
      },
    ],
  })

const nothing = async (): Promise<Subject> => ({ sandboxId: '', containerId: '' })

const pod =
  (spec = plainPod) =>
  async ({ runtime }: RuntimeLab): Promise<Subject> => ({
    sandboxId: await runtime.sandboxes.run(spec),
    containerId: '',
  })

const model = { reference: 'model', userSpecifiedImage: '', subPath: 'weights' }

const specIn = (sandboxId: string) =>
  containerSpec({
    sandboxId,
    mounts: [
      { containerPath: '/data', hostPath: '/srv', readonly: true, propagation: 'private' },
      { containerPath: '/model', hostPath: '', readonly: true, propagation: 'private', image: model },
    ],
    devices: [{ containerPath: '/dev/fuse', hostPath: '/dev/fuse', permissions: 'rw' }],
    cdiDevices: ['vendor.com/gpu=0'],
  })

/** With a volume by the pod's mappings, and one by others. */
const mappedSpecIn = (sandboxId: string) => {
  const mount = { readonly: false, propagation: 'private' } as const
  const gids = { ...ids, hostId: 200_000 }
  return containerSpec({
    sandboxId,
    mounts: [
      { ...mount, containerPath: '/data', hostPath: '/srv', idMappings: user },
      { ...mount, containerPath: '/other', hostPath: '/srv/other', idMappings: { ...user, gids } },
    ],
  })
}

const created =
  (spec = plainPod) =>
  async (lab: RuntimeLab): Promise<Subject> => {
    const { sandboxId } = await pod(spec)(lab)
    return { sandboxId, containerId: await lab.runtime.containers.create(specIn(sandboxId)) }
  }

const running =
  (spec = plainPod) =>
  async (lab: RuntimeLab): Promise<Subject> => {
    const subject = await created(spec)(lab)
    await lab.runtime.containers.start(subject.containerId)
    return subject
  }

export const operations: readonly Operation[] = [
  {
    name: 'RunPodSandbox',
    kind: 'makes',
    prepare: nothing,
    act: ({ runtime }) => runtime.sandboxes.run(plainPod),
  },
  {
    name: 'RunPodSandbox with a shared PID namespace',
    kind: 'makes',
    prepare: nothing,
    act: ({ runtime }) => runtime.sandboxes.run(podWithInit),
  },
  {
    name: "RunPodSandbox on the host's network",
    kind: 'makes',
    prepare: nothing,
    act: ({ runtime }) => runtime.sandboxes.run(hostNetworkPod),
  },
  {
    name: 'RunPodSandbox with a host port',
    kind: 'makes',
    prepare: nothing,
    act: ({ runtime }) => runtime.sandboxes.run(portPod),
  },
  {
    name: "RunPodSandbox with a sysctl of the pod's interface",
    kind: 'makes',
    prepare: nothing,
    act: ({ runtime }) => runtime.sandboxes.run(sysctlPod),
  },
  {
    name: 'RunPodSandbox with a user namespace',
    kind: 'makes',
    prepare: nothing,
    act: ({ runtime }) => runtime.sandboxes.run(userPod),
  },
  {
    name: 'CreateContainer in a user namespace',
    kind: 'makes',
    prepare: pod(userPod),
    act: ({ runtime }, { sandboxId }) => runtime.containers.create(mappedSpecIn(sandboxId)),
  },
  {
    name: 'CreateContainer',
    kind: 'makes',
    prepare: pod(),
    act: ({ runtime }, { sandboxId }) => runtime.containers.create(specIn(sandboxId)),
  },
  {
    name: 'RunPodSandbox with SELinux',
    kind: 'makes',
    prepare: async ({ host }) => {
      host.selinux.enabled = true
      return nothing()
    },
    act: ({ runtime }) => runtime.sandboxes.run(plainPod),
  },
  {
    name: 'CreateContainer with SELinux',
    kind: 'makes',
    prepare: (lab) => {
      lab.host.selinux.enabled = true
      return pod()(lab)
    },
    act: ({ runtime }, { sandboxId }) => runtime.containers.create(selinuxSpecIn(sandboxId)),
  },
  {
    name: 'CreateContainer from a checkpoint',
    kind: 'makes',
    prepare: pod(runcPod),
    act: ({ runtime }, { sandboxId }) =>
      runtime.containers.create({ ...specIn(sandboxId), imageReference: '/checkpoint.tar' }),
  },
  {
    name: 'CheckpointContainer',
    kind: 'changes',
    prepare: running(runcPod),
    act: ({ runtime }, { containerId }) => runtime.containers.checkpoint(containerId, '/web.tar', 0),
  },
  {
    name: 'StopContainer',
    kind: 'unmakes',
    prepare: running(),
    act: ({ runtime }, { containerId }) => runtime.containers.stop(containerId, 1000),
  },
  {
    name: 'StopContainer of one never started',
    kind: 'unmakes',
    prepare: created(),
    act: ({ runtime }, { containerId }) => runtime.containers.stop(containerId, 1000),
  },
  {
    name: 'RemoveContainer',
    kind: 'unmakes',
    prepare: running(),
    act: ({ runtime }, { containerId }) => runtime.containers.remove(containerId),
  },
  {
    name: 'StopPodSandbox',
    kind: 'unmakes',
    prepare: running(podWithInit),
    act: ({ runtime }, { sandboxId }) => runtime.sandboxes.stop(sandboxId),
  },
  {
    name: 'RemovePodSandbox',
    kind: 'unmakes',
    prepare: running(podWithInit),
    act: ({ runtime }, { sandboxId }) => runtime.sandboxes.remove(sandboxId),
  },
  {
    name: 'StartContainer',
    kind: 'changes',
    prepare: created(),
    act: ({ runtime }, { containerId }) => runtime.containers.start(containerId),
  },
  {
    name: 'UpdateContainerResources',
    kind: 'changes',
    prepare: running(),
    act: ({ runtime }, { containerId }) =>
      runtime.containers.update(containerId, { ...containerSpec().resources, memoryLimitBytes: 1 << 20 }),
  },
  {
    name: 'UpdatePodSandboxResources',
    kind: 'changes',
    prepare: pod(),
    act: ({ runtime }, { sandboxId }) =>
      runtime.sandboxes.updateResources(sandboxId, { overhead: undefined, containers: undefined }),
  },
]
