import { invalidArgument } from '#lib/errors.ts'
import type { ContainerMount, ContainerSpec, ResolvedUser, Resources } from '../container/record.ts'
import type { ContainerDefaults } from '../container-defaults.ts'
import type { RuntimeHandler } from '../handler.ts'
import type { SandboxRecord, SelinuxLabels } from '../pod-sandbox/record.ts'
import type { HostDevice, HostFacts, LocalImage, MountSource, PodUserNamespace } from '../ports.ts'
import { resolveSeccomp, type SeccompProfile } from '../seccomp/profile.ts'
import { allowedAnnotations } from './allowed-annotations.ts'
import { onBaseSpec } from './base-spec.ts'
import { buildDevices } from './devices.ts'
import { buildMounts, type SandboxFilePaths } from './mounts.ts'
import type { OciMount, OciNamespace, OciProcess, OciSpec } from './oci-spec.ts'
import { buildProcess } from './process.ts'
import { toOciResources } from './resources.ts'
import { ociMappings, requireWithin } from './user-namespace.ts'

export interface OciSpecInput {
  readonly container: ContainerSpec
  readonly containerId: string
  readonly sandbox: SandboxRecord
  readonly handler: RuntimeHandler
  readonly image: LocalImage
  /** From `resolveUser`. */
  readonly user: ResolvedUser
  readonly rootfsPath: string
  readonly namespaces: ContainerNamespaces
  readonly sandboxFiles: SandboxFilePaths
  /** Where each mount of the request comes from, by its `sourceKey`. */
  readonly mountSources: ReadonlyMap<string, MountSource>
  /** Where what a mount shows has the ids that it is to have: copies of the sources, from MappedMounts. */
  readonly mappedSources: ReadonlyMap<ContainerMount, string>
  /** Beside those of the request, which go first; no two at one place. */
  readonly extraMounts: readonly OciMount[]
  /** The devices asked for; where the container is privileged, all of the host's first. */
  readonly devices: readonly HostDevice[]
  readonly host: HostFacts
  readonly defaults: ContainerDefaults
  /** The host's name now, which a pod in the host's UTS namespace has. */
  readonly hostname: string
  /** From `cgroupsPath`. */
  readonly cgroupsPath: string
  /** Undefined: no filter. */
  readonly seccomp: SeccompProfile | undefined
  /** A loaded one; undefined: the daemon's own confinement, which is mostly none. */
  readonly apparmorProfile: string | undefined
  /** Undefined where SELinux is off. */
  readonly selinux: SelinuxLabels | undefined
}

/** The namespaces that a container joins by path; undefined where it uses the host's. */
export interface ContainerNamespaces {
  readonly network: string | undefined
  readonly ipc: string | undefined
  readonly uts: string | undefined
  readonly user?: PodUserNamespace | undefined
  readonly pid: 'private' | 'host' | { readonly path: string }
}

/**
 * The config.json of a container, with the meaning that containerd's CRI plugin gives the request.
 * Throws invalid-argument where the request can't be met, failed-precondition where this host can't meet it.
 */
export function buildOciSpec(input: OciSpecInput): OciSpec {
  const { container, sandbox, host } = input
  const { security } = container
  if (security.privileged && !sandbox.spec.privileged) {
    throw invalidArgument(
      `container ${container.name} is privileged, but its pod sandbox ${sandbox.id} is not: ` +
        'set linux.security_context.privileged in the pod sandbox config too',
    )
  }
  if (input.namespaces.user !== undefined) requireWithin(input.namespaces.user, input.user, container.mounts)
  const { mounts, rootfsPropagation } = buildMounts(input)
  const { devices, rules } = buildDevices(input.devices, mayUseAllDevices(input))
  const process = buildProcess(input)
  return onBaseSpec(input.handler.settings.baseSpec, {
    ociVersion: '1.0.2',
    process,
    root: { path: input.rootfsPath, readonly: security.readonlyRootfs },
    mounts,
    annotations: {
      ...allowedAnnotations(input.handler.settings, sandbox.spec.annotations, container.annotations),
      ...sandboxAnnotations(sandbox),
      'io.kubernetes.cri.container-type': 'container',
      'io.kubernetes.cri.container-name': container.name,
      'io.kubernetes.cri.image-name': container.userSpecifiedImage || container.imageReference,
    },
    linux: {
      cgroupsPath: input.cgroupsPath,
      namespaces: buildNamespaces(input.namespaces, host.cgroupVersion === 2 && !security.privileged),
      ...ociMappings(input.namespaces.user),
      devices,
      resources: { devices: rules, ...toOciResources(container.resources, host) },
      ...(rootfsPropagation === undefined ? {} : { rootfsPropagation }),
      maskedPaths: security.privileged ? [] : security.maskedPaths,
      readonlyPaths: security.privileged ? [] : security.readonlyPaths,
      ...buildSeccomp(input.seccomp, process, host),
      ...(input.selinux === undefined ? {} : { mountLabel: input.selinux.mount }),
    },
  })
}

const mayUseAllDevices = ({ container, handler: { settings } }: OciSpecInput): boolean =>
  container.security.privileged &&
  (!settings.privilegedWithoutHostDevices || settings.privilegedWithoutHostDevicesAllDevicesAllowed)

/** `linux.seccomp`, where there is a profile. */
export function buildSeccomp(
  profile: SeccompProfile | undefined,
  { capabilities }: Pick<OciProcess, 'capabilities'>,
  host: HostFacts,
): Pick<OciSpec['linux'], 'seccomp'> {
  if (profile === undefined) return {}
  return { seccomp: resolveSeccomp(profile, { ...host, capabilities: capabilities.bounding }) }
}

/** Where sandboxed runtimes and NRI-like tools look for the pod: containerd's names. */
export function sandboxAnnotations({ id, spec }: SandboxRecord): Record<string, string> {
  return {
    'io.kubernetes.cri.sandbox-id': id,
    'io.kubernetes.cri.sandbox-name': spec.metadata.name,
    'io.kubernetes.cri.sandbox-namespace': spec.metadata.namespace,
    'io.kubernetes.cri.sandbox-uid': spec.metadata.uid,
    ...sizeAnnotations(spec.resources?.containers),
  }
}

/** How big virtual machines that hold a pod are made. */
function sizeAnnotations(resources: Resources | undefined): Record<string, string> {
  if (resources === undefined) return {}
  return {
    'io.kubernetes.cri.sandbox-cpu-period': `${resources.cpuPeriodUs}`,
    'io.kubernetes.cri.sandbox-cpu-quota': `${resources.cpuQuotaUs}`,
    'io.kubernetes.cri.sandbox-cpu-shares': `${resources.cpuShares}`,
    'io.kubernetes.cri.sandbox-memory': `${resources.memoryLimitBytes}`,
  }
}

export function buildNamespaces(
  { network, ipc, uts, user, pid }: ContainerNamespaces,
  ownCgroup: boolean,
): readonly OciNamespace[] {
  const joined: readonly [OciNamespace['type'], string | undefined][] = [
    ['user', user?.path],
    ['network', network],
    ['ipc', ipc],
    ['uts', uts],
    ['pid', typeof pid === 'object' ? pid.path : undefined],
  ]
  return [
    { type: 'mount' },
    ...joined.flatMap(([type, path]) => (path === undefined ? [] : [{ type, path }])),
    ...(pid === 'private' ? [{ type: 'pid' as const }] : []),
    ...(ownCgroup ? [{ type: 'cgroup' as const }] : []),
  ]
}
