import type { IdMapping } from '#lib/id-mappings.ts'
import type { RuntimeHandler } from '../handler.ts'
import type { SandboxRecord } from '../pod-sandbox/record.ts'
import type { HostFacts, PodUserNamespace } from '../ports.ts'
import type { SeccompProfile } from '../seccomp/profile.ts'
import { allowedAnnotations } from './allowed-annotations.ts'
import { buildNamespaces, buildSeccomp, type ContainerNamespaces, sandboxAnnotations } from './build-spec.ts'
import type { OciProcess, OciSpec } from './oci-spec.ts'
import { allowedOomScoreAdj } from './process.ts'
import { ociMappings } from './user-namespace.ts'

export interface InitSpecInput {
  readonly sandbox: SandboxRecord
  readonly handler: RuntimeHandler
  /** A static program that reaps and waits when called with -P: catatonit. */
  readonly programPath: string
  /** An empty directory; pods may share it. */
  readonly rootfsPath: string
  readonly namespaces: Pick<ContainerNamespaces, 'network' | 'ipc' | 'uts' | 'user'>
  readonly host: HostFacts
  /** From `cgroupsPath`. */
  readonly cgroupsPath: string
  /** Undefined: no filter. */
  readonly seccomp: SeccompProfile | undefined
}

const NOBODY = 65535
const noCapabilities = { bounding: [], effective: [], permitted: [] }
/** As kubelet has it for the pause container: killed after everything else of the pods. */
const OOM_SCORE_ADJ = -998

/**
 * The init of a pod's shared PID namespace: it may do nothing, sees nothing and has next to no CPU.
 * The same is the container that those of a sandboxed runtime live in.
 */
export function buildInitSpec(input: InitSpecInput): OciSpec {
  const { host, namespaces, sandbox, handler } = input
  const { selinux } = sandbox
  const holdsOthers = handler.sandbox === 'container'
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: nobodyOf(namespaces.user),
      args: ['/init', '-P'],
      env: [],
      cwd: '/',
      capabilities: noCapabilities,
      rlimits: [{ type: 'RLIMIT_NOFILE', ...host.nofileLimit }],
      noNewPrivileges: true,
      ...(selinux === undefined || sandbox.spec.privileged ? {} : { selinuxLabel: selinux.process }),
      oomScoreAdj: allowedOomScoreAdj(OOM_SCORE_ADJ, host),
    },
    root: { path: input.rootfsPath, readonly: true },
    mounts: [
      {
        destination: '/proc',
        type: 'proc',
        source: 'proc',
        options: ['nosuid', 'noexec', 'nodev'],
      },
      {
        destination: '/dev',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'noexec', 'mode=755', 'size=64k'],
      },
      {
        destination: '/init',
        type: 'bind',
        source: input.programPath,
        options: ['bind', 'rprivate', 'ro', 'nosuid', 'nodev'],
      },
    ],
    annotations: {
      // What asks for another way to run is not meant for our own program.
      ...(holdsOthers ? allowedAnnotations(handler.settings, sandbox.spec.annotations) : {}),
      ...sandboxAnnotations(sandbox),
      'io.kubernetes.cri.container-type': 'sandbox',
    },
    linux: {
      cgroupsPath: input.cgroupsPath,
      namespaces: buildNamespaces({ ...namespaces, pid: 'private' }, false),
      ...ociMappings(namespaces.user),
      devices: [],
      // What the others live in does their work.
      resources: {
        devices: [{ allow: false, access: 'rwm' }],
        ...(holdsOthers ? {} : { cpu: { shares: 2 } }),
      },
      maskedPaths: [],
      readonlyPaths: [],
      ...buildSeccomp(input.seccomp, { capabilities: noCapabilities }, host),
      ...(selinux === undefined ? {} : { mountLabel: selinux.mount }),
    },
  }
}

/** The last id, where a user namespace has fewer. */
function nobodyOf(user: PodUserNamespace | undefined): OciProcess['user'] {
  const within = (mapping: IdMapping | undefined): number =>
    mapping === undefined ? NOBODY : Math.min(NOBODY, mapping.containerId + mapping.length - 1)
  const { uids, gids } = user?.mappings ?? {}
  return { uid: within(uids), gid: within(gids), additionalGids: [] }
}
