import { join } from 'node:path'

/** Every path under root (which survives a reboot) and state (which does not), by ids. */
export interface Paths {
  readonly root: string
  readonly state: string
  /** Layers and the records of images lie in it: root, where the configuration names no other. */
  readonly imageRoot: string
  readonly recordsDatabase: string
  /** Results and configurations of CNI ADDs. */
  readonly networks: string
  /** Containers' states on their way to or from an archive. */
  readonly checkpoints: string
  readonly adminSocket: string
  readonly namespaces: string
  readonly sandboxes: string
  readonly containers: string
  readonly exits: string
  readonly locks: string
  readonly podCgroups: string
  /** Where image volumes are mounted. */
  readonly imageVolumes: string
  /** Where layers are mounted that are files. */
  readonly layerMounts: string
  readonly mappedMounts: string
  /** All directories below state: the state directory itself may hold the CRI socket, which a group may use. */
  readonly privateState: readonly string[]
  /**
   * Directories below state whose entries are for their owners alone: the root of a pod's user namespace, which is no
   * root on the host, must get to its own.
   */
  readonly enterableState: readonly string[]
  /** One of them: each entry is for a container's root file system. */
  readonly userHomes: string
  sandbox(id: string): SandboxPaths
  container(id: string): string
  rootfs(id: string): string
  /** Where that of a container in a user namespace lies. */
  userHome(id: string): string
  /** The state of an OCI runtime: its --root. */
  ociRuntime(handler: string): string
}

/** What the containers of a pod mount from the host. */
export interface SandboxPaths {
  readonly resolvConf: string
  readonly hosts: string
  readonly hostname: string
  readonly shm: string
  /** The empty root file system of the init of a shared PID namespace. */
  readonly initRootfs: string
}

export interface Directories {
  readonly root: string
  readonly state: string
  readonly imageStore?: string | undefined
}

export function createPaths({ root, state, imageStore = root }: Directories): Paths {
  return {
    root,
    state,
    imageRoot: imageStore,
    recordsDatabase: join(root, 'records.db'),
    networks: join(root, 'cni'),
    checkpoints: join(root, 'checkpoints'),
    adminSocket: join(state, 'admin.sock'),
    namespaces: join(state, 'ns'),
    sandboxes: join(state, 'sandboxes'),
    containers: join(state, 'containers'),
    exits: join(state, 'exits'),
    locks: join(state, 'locks'),
    podCgroups: join(state, 'cgroups'),
    imageVolumes: join(state, 'volumes'),
    layerMounts: join(state, 'layers'),
    mappedMounts: join(state, 'mapped'),
    privateState: [
      'ns',
      'containers',
      'exits',
      'locks',
      'cgroups',
      'rootfs',
      'volumes',
      'layers',
      'oci',
      'mapped',
    ].map((name) => join(state, name)),
    userHomes: join(state, 'userns'),
    enterableState: ['sandboxes', 'userns'].map((name) => join(state, name)),
    sandbox(id) {
      const at = (name: string): string => join(state, 'sandboxes', id, name)
      return {
        resolvConf: at('resolv.conf'),
        hosts: at('hosts'),
        hostname: at('hostname'),
        shm: at('shm'),
        initRootfs: at('init-rootfs'),
      }
    },
    container: (id) => join(state, 'containers', id),
    rootfs: (id) => join(state, 'rootfs', id),
    userHome: (id) => join(state, 'userns', id),
    ociRuntime: (handler) => join(state, 'oci', handler),
  }
}
