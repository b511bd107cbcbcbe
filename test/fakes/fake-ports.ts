import { CriError, notFound } from '#lib/errors.ts'
import type { ContainerEdits } from '#runtime/injection-port.ts'
import type { Namespaces } from '#runtime/namespaces-port.ts'
import { NO_EDITS } from '#runtime/oci-spec/apply-edits.ts'
import type {
  HostPaths,
  LocalImage,
  ObjectLocks,
  PodCgroups,
  PodNetwork,
  Records,
  RuntimePorts,
  SandboxFiles,
} from '#runtime/ports.ts'
import type { ImageRootfs } from '#runtime/rootfs-port.ts'
import type { UsageCounters } from '#runtime/usage-port.ts'
import { fakeAppArmor } from './fake-apparmor.ts'
import { fakeCheckpoints, savedImage } from './fake-checkpoints.ts'
import type { FakeHost } from './fake-host.ts'
import { fakeImageVolumes } from './fake-image-volumes.ts'
import { fakeMappedMounts } from './fake-mapped-mounts.ts'
import { FakeMonitor } from './fake-monitor.ts'
import { fakePodPorts } from './fake-pod-ports.ts'
import { fakeSelinux } from './fake-selinux.ts'

export const busybox: LocalImage = {
  id: `sha256:${'b'.repeat(64)}`,
  config: {
    entrypoint: [],
    cmd: ['/bin/sh'],
    env: ['PATH=/bin'],
    user: '',
    workingDirectory: '',
    stopSignal: '',
    volumes: ['/var/lib/data', '/srv'],
  },
}

/** Every port of the runtime, on a host in memory; they refuse what a real host refuses. */
export function fakePorts(host: FakeHost, image: LocalImage = busybox): RuntimePorts {
  return {
    sandboxRecords: fakeRecords(host.sandboxRecords),
    containerRecords: fakeRecords(host.containerRecords),
    namespaces: fakeNamespaces(host),
    network: fakeNetwork(host),
    podPorts: fakePodPorts(host),
    files: fakeFiles(host),
    podCgroups: fakePodCgroups(host),
    rootfs: fakeRootfs(host, image),
    imageVolumes: fakeImageVolumes(host),
    mappedMounts: fakeMappedMounts(host),
    monitor: new FakeMonitor(host),
    checkpoints: fakeCheckpoints(host, image),
    hostPaths: fakeHostPaths(host),
    apparmor: fakeAppArmor(host),
    selinux: fakeSelinux(host),
    locks: fakeLocks(host),
    hooks: { files: async () => host.hookFiles },
    classes: { blockIo: () => ({ weight: 500 }), rdt: (name) => ({ closID: name }) },
    cdi: { edits: async (names) => names.map((name) => ({ ...fakeEdits(name), ...host.cdiEdits })) },
    usage: fakeUsage(host),
  }
}

function fakeRecords<Item extends { readonly id: string }>(texts: Map<string, string>): Records<Item> {
  return {
    async put(record) {
      texts.set(record.id, JSON.stringify(record))
    },
    async remove(id) {
      texts.delete(id)
    },
    async all() {
      return [...texts.values()].map((text) => JSON.parse(text) as Item)
    },
  }
}

function fakeNamespaces(host: FakeHost): Namespaces {
  const none = { network: undefined, ipc: undefined, uts: undefined, user: undefined }
  return {
    async create(id, { network, ipc, uts, user, sysctls }) {
      const at = (wanted: boolean, kind: string) => (wanted ? `/ns/${id}/${kind}` : undefined)
      const own = { network: at(network, 'net'), ipc: at(ipc, 'ipc'), uts: at(uts, 'uts') }
      const paths = { ...own, user: at(user !== undefined, 'user') }
      host.namespaces.set(id, paths)
      if ('bad' in sysctls) throw new CriError('invalid-argument', 'sysctl bad: there is none')
      const late = Object.entries(sysctls).filter(([name]) => name.includes('.eth0.'))
      return { ...paths, missingSysctls: Object.fromEntries(late) }
    },
    async setSysctls(id, sysctls) {
      if (!host.attachments.has(id)) throw new Error(`${id} has no interface yet`)
      host.lateSysctls.set(id, sysctls)
    },
    find: async (id) => host.namespaces.get(id) ?? none,
    async remove(id) {
      host.namespaces.delete(id)
      host.lateSysctls.delete(id)
    },
    leftovers: () => [...host.namespaces.keys()],
  }
}

function fakeNetwork(host: FakeHost): PodNetwork {
  let next = 1
  return {
    async attach({ sandboxId, netnsPath }) {
      if (host.namespaces.get(sandboxId)?.network !== netnsPath) throw new Error(`${netnsPath} is not there`)
      const ips = [`10.0.0.${++next}`]
      host.attachments.set(sandboxId, ips)
      return ips
    },
    async detach(sandboxId, netnsPath) {
      if (host.namespaces.get(sandboxId)?.network !== netnsPath)
        throw new Error(`${netnsPath} is not its namespace`)
      host.attachments.delete(sandboxId)
    },
    status: async () => ({ ready: true }),
    leftovers: async () => [...host.attachments.keys()],
    collectGarbage: async () => undefined,
  }
}

function fakeFiles(host: FakeHost): SandboxFiles {
  return {
    async create(id) {
      host.files.add(id)
    },
    async remove(id) {
      host.files.delete(id)
    },
    leftovers: () => [...host.files],
  }
}

/** A cgroup with containers in it stays, and is forgotten: as a kernel and the real adapter have it. */
function fakePodCgroups(host: FakeHost): PodCgroups {
  const forgotten = (path: string) => `forgotten ${path}`
  return {
    async ensure(id, cgroupParent) {
      host.podCgroups.set(id, cgroupParent)
    },
    async remove(id) {
      const path = host.podCgroups.get(id)
      if (path === undefined) return
      host.podCgroups.delete(id)
      const inUse = [...host.containers.values()].some(
        ({ cgroup, cgroupParent }) => cgroup && cgroupParent === path,
      )
      if (inUse) host.podCgroups.set(forgotten(id), path)
    },
  }
}

function fakeRootfs(host: FakeHost, image: LocalImage): ImageRootfs {
  const refuseInUse = (id: string): void => {
    const container = host.containers.get(id)
    if (container !== undefined && container.phase !== 'ended') throw new Error(`umount ${id}: EBUSY`)
  }
  return {
    async resolve(reference) {
      if (reference.includes('missing')) throw notFound('image', reference)
      if (host.unverified.has(reference)) throw new CriError('unverified', `${reference} is not signed`)
      return reference === savedImage.name ? { ...image, id: savedImage.id } : image
    },
    async mount(containerId) {
      host.rootfs.set(containerId, 'mounted')
      return `/rootfs/${containerId}`
    },
    async unmount(containerId) {
      refuseInUse(containerId)
      if (host.rootfs.has(containerId)) host.rootfs.set(containerId, 'unmounted')
    },
    async remove(containerId) {
      refuseInUse(containerId)
      host.rootfs.delete(containerId)
    },
    written: (containerId) => host.written.get(containerId),
    async makeVolume(containerId, index, path) {
      if (host.rootfs.get(containerId) !== 'mounted') throw new Error(`${containerId} is not mounted`)
      if (path === '/bad') throw new CriError('failed-precondition', `${path} is a file`)
      return `/volumes/${containerId}/${index}`
    },
    leftovers: () => [...host.rootfs.keys()],
    async readFile(containerId, path) {
      if (host.rootfs.get(containerId) !== 'mounted') throw new Error(`${containerId} is not mounted`)
      return path === '/etc/passwd' ? 'root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n' : undefined
    },
  }
}

function fakeHostPaths(host: FakeHost): HostPaths {
  return {
    async makeLogDirectory(path) {
      host.logDirectories.add(path)
    },
    async mountSource(path, { mustExist = false, labelled = false } = {}) {
      if (mustExist && path.startsWith('/missing'))
        throw new CriError('failed-precondition', `${path} does not exist`)
      return {
        path,
        kind: 'directory',
        restrictions: [],
        propagation: 'shared',
        ...(labelled ? { selinuxLabel: host.fileLabels.get(path) } : {}),
      }
    },
    devices: async ({ containerPath, permissions }) => [
      { path: containerPath, permissions, type: 'c', major: 10, minor: 229, mode: 0o666, uid: 0, gid: 0 },
    ],
    allDevices: async () => [
      { path: '/dev/kmsg', type: 'c', major: 1, minor: 11, mode: 0o644, uid: 0, gid: 0, permissions: 'rwm' },
    ],
    async readFile(path) {
      const text = host.textFiles.get(path)
      if (text === undefined) throw new CriError('invalid-argument', 'it does not exist')
      return text
    },
  }
}

/** Every CDI device is defined, and says its name in the environment. */
const fakeEdits = (name: string): ContainerEdits => ({
  ...NO_EDITS,
  env: [`CDI_DEVICE=${name}`],
})

function fakeLocks(host: FakeHost): ObjectLocks {
  return {
    async settle(id) {
      host.lockHolders.delete(id)
    },
    kill(id) {
      host.lockHolders.delete(id)
    },
    remove: () => undefined,
    leftovers: () => [...host.lockHolders],
  }
}

function fakeUsage(host: FakeHost): UsageCounters {
  return {
    cgroup(path) {
      host.cgroupReads += 1
      return host.cgroupUsages.get(path)
    },
    interfaces: (netnsPath) => host.interfaces.get(netnsPath) ?? [],
  }
}
