import { posix } from 'node:path'
import { CriError, invalidArgument } from '#lib/errors.ts'
import type { ContainerMount, ContainerSpec } from '../container/record.ts'
import type { HostFacts, MountSource } from '../ports.ts'
import type { ContainerNamespaces } from './build-spec.ts'
import type { OciMount } from './oci-spec.ts'

/** Host paths of the pod's files; `shm` is undefined where the pod uses the host's. */
export interface SandboxFilePaths {
  readonly resolvConf: string
  readonly hosts: string
  readonly hostname: string
  readonly shm: string | undefined
}

export interface MountsInput {
  readonly container: Pick<ContainerSpec, 'mounts' | 'security'>
  readonly sandboxFiles: SandboxFilePaths
  readonly mountSources: ReadonlyMap<string, MountSource>
  readonly mappedSources: ReadonlyMap<ContainerMount, string>
  readonly extraMounts: readonly OciMount[]
  readonly host: Pick<HostFacts, 'cgroupVersion'>
  readonly namespaces: Pick<ContainerNamespaces, 'network' | 'user'>
}

type RootfsPropagation = 'rslave' | 'rshared' | undefined

/**
 * The kernel's file systems, then the request's mounts with the pod's files, parents before children.
 * What the request mounts replaces a mount of ours at the same path, and its /dev all that lies below ours.
 * Throws failed-precondition where a source can't propagate as it is asked to.
 */
export function buildMounts(input: MountsInput): {
  readonly mounts: readonly OciMount[]
  readonly rootfsPropagation: RootfsPropagation
} {
  const { mounts, security } = input.container
  const { extraMounts, host, namespaces, sandboxFiles } = input
  const asked = new Set(mounts.map(({ containerPath }) => clean(containerPath)))
  const wanted: readonly BindMount[] = [
    ...mounts.map((mount) => ({ ...mount, source: sourceOf(mount, input) })),
    ...podFiles(sandboxFiles, security.readonlyRootfs).filter(
      ({ containerPath }) => !asked.has(containerPath),
    ),
  ]
  const access = security.privileged ? 'rw' : 'ro'
  const cgroups = cgroupMount(access, host.cgroupVersion === 2 && security.privileged)
  const kernel = [...kernelMounts(), sysMount(access, namespaces), cgroups].filter(
    ({ destination }) => !asked.has(destination) && !(asked.has('/dev') && destination.startsWith('/dev/')),
  )
  const extra = extraMounts.filter(({ destination }) => !asked.has(destination))
  return {
    mounts: [...kernel, ...[...wanted.map(toBind), ...extra].toSorted((a, b) => depth(a) - depth(b))],
    rootfsPropagation: rootfsPropagation(mounts),
  }
}

type BindMount = ContainerMount & { readonly source: MountSource }

const clean = (path: string): string => posix.resolve('/', path)
const depth = ({ destination }: OciMount): number => clean(destination).split('/').length

const propagationOptions = {
  private: 'rprivate',
  'host-to-container': 'rslave',
  bidirectional: 'rshared',
} as const

function toBind(mount: BindMount): OciMount {
  const { containerPath, source, readonly, recursiveReadonly, propagation, options = [] } = mount
  return {
    destination: containerPath,
    type: 'bind',
    source: source.path,
    options: [
      'rbind',
      propagationOptions[propagation],
      readonly ? 'ro' : 'rw',
      ...(recursiveReadonly === true ? ['rro'] : []),
      ...new Set([...source.restrictions, ...options]), // A remount for any option would lift the others.
    ],
  }
}

/** By what the source of a mount is looked up: a host path, or an image at a container path. */
export const sourceKey = ({ image, hostPath, containerPath }: ContainerMount): string =>
  image === undefined ? hostPath : `image at ${containerPath}`

/** Whether a file of the pod or a file system of the kernel is mounted there. */
export function isOwnDestination(path: string): boolean {
  const podPaths = ['/etc/hostname', '/etc/hosts', '/etc/resolv.conf', '/dev/shm']
  return (
    podPaths.includes(path) ||
    path === CGROUPS ||
    path === '/sys' ||
    kernelMounts().some(({ destination }) => destination === path)
  )
}

function sourceOf(mount: ContainerMount, { mountSources, mappedSources }: MountsInput): MountSource {
  const { containerPath, propagation } = mount
  const hostPath = mount.image === undefined ? mount.hostPath : `image ${mount.image.reference}`
  if (clean(containerPath) === '/') {
    throw invalidArgument(
      `mount of ${hostPath} at container path "${containerPath}": give a path below /, which is the image's`,
    )
  }
  const source = mountSources.get(sourceKey(mount))
  if (source === undefined) throw new Error(`mount source ${hostPath} was not looked up`)
  const passesOn = source.propagation ?? 'shared'
  const fits =
    propagation === 'private' ||
    passesOn === 'shared' ||
    (propagation === 'host-to-container' && passesOn === 'slave')
  if (fits) return { ...source, path: mappedSources.get(mount) ?? source.path }
  throw new CriError(
    'failed-precondition',
    `mount of ${hostPath} at ${containerPath}: ${source.path} lies on a ${passesOn} mount, so that ${propagation} propagation ` +
      `can't work: make it shared (mount --make-rshared), or ask for private propagation`,
  )
}

/** What the root mount must pass on, for the mounts below it to do so. */
function rootfsPropagation(mounts: readonly ContainerMount[]): RootfsPropagation {
  if (mounts.some(({ propagation }) => propagation === 'bidirectional')) return 'rshared'
  return mounts.some(({ propagation }) => propagation === 'host-to-container') ? 'rslave' : undefined
}

function podFiles(files: SandboxFilePaths, readonly: boolean): readonly BindMount[] {
  const paths: readonly [string, string, boolean][] = [
    ['/etc/hostname', files.hostname, readonly],
    ['/etc/hosts', files.hosts, readonly],
    ['/etc/resolv.conf', files.resolvConf, readonly],
    ['/dev/shm', files.shm ?? '/dev/shm', false],
  ]
  return paths.map(([containerPath, hostPath, isReadonly]) => {
    const source = { path: hostPath, kind: 'file' as const, restrictions: [] }
    return { containerPath, hostPath, readonly: isReadonly, propagation: 'private', source }
  })
}

const SAFE = ['nosuid', 'noexec', 'nodev'] as const

/** Those of containerd's default spec. */
function kernelMounts(): readonly OciMount[] {
  const mounts: readonly [string, string, readonly string[]][] = [
    ['/proc', 'proc', SAFE],
    ['/dev', 'tmpfs', ['nosuid', 'strictatime', 'mode=755', 'size=65536k']],
    ['/dev/pts', 'devpts', ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5']],
    ['/dev/mqueue', 'mqueue', SAFE],
  ]
  return mounts.map(([destination, type, options]) => ({ destination, type, source: type, options }))
}

/** A sysfs can be mounted by who owns the network namespace that it shows: else the host's is seen, and not written. */
function sysMount(access: 'ro' | 'rw', { network, user }: MountsInput['namespaces']): OciMount {
  return user !== undefined && network === undefined
    ? {
        destination: '/sys',
        type: 'bind',
        source: '/sys',
        options: ['rbind', 'rprivate', ...SAFE, 'ro', 'rro'],
      }
    : { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...SAFE, access] }
}

const CGROUPS = '/sys/fs/cgroup'

/**
 * A container in the host's cgroup namespace gets the host's mount: crun would mount cgroup2 anew, which in that
 * namespace resets the options of the host's (nsdelegate, memory_recursiveprot; cgroups(7)).
 */
function cgroupMount(access: 'ro' | 'rw', inHostNamespace: boolean): OciMount {
  const options = [...SAFE, 'relatime', access]
  return inHostNamespace
    ? { destination: CGROUPS, type: 'bind', source: CGROUPS, options: ['rbind', ...options] }
    : { destination: CGROUPS, type: 'cgroup', source: 'cgroup', options }
}
