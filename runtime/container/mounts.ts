import { posix } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { CriError, describeError } from '#lib/errors.ts'
import { isOwnDestination, sourceKey } from '../oci-spec/mounts.ts'
import type { OciMount } from '../oci-spec/oci-spec.ts'
import type { SandboxRecord } from '../pod-sandbox/record.ts'
import type { LocalImage, MountSource, PodUserNamespace } from '../ports.ts'
import type { RootfsRequest } from '../rootfs-port.ts'
import type { RuntimeContext } from '../runtime-context.ts'
import type { ContainerMount, ContainerRecord, ContainerSpec, ImageVolume } from './record.ts'

/** What the message of a failure begins with, for kubelet to count (cri-api, ErrImageVolumeMountFailed). */
const VOLUME_FAILED = 'ImageVolumeMountFailed'

const COMMON_OPTIONS = ['noexec', 'nosuid', 'nodev', 'nodiratime', 'noatime', 'relatime', 'strictatime']

/** Throws failed-precondition where an OCI runtime does not say that it knows an option: it would pass over it. */
export function requireMountFeatures(
  { spec, handler: name }: Pick<ContainerRecord, 'spec' | 'handler'>,
  { options }: RuntimeContext,
): void {
  const uncommon = ({ options: asked = [], recursiveReadonly }: ContainerMount): readonly string[] => [
    ...(recursiveReadonly === true ? ['rro'] : []),
    ...asked.filter((option) => !COMMON_OPTIONS.includes(option)),
  ]
  if (spec.mounts.every((mount) => uncommon(mount).length === 0)) return
  const { recursiveReadonlyMounts, mountOptions = [] } = options.handler(name).features
  const knows = (option: string): boolean =>
    option === 'rro' ? recursiveReadonlyMounts : mountOptions.includes(option)
  for (const mount of spec.mounts) {
    const unknown = uncommon(mount).find((option) => !knows(option))
    if (unknown === undefined) continue
    const [what, field] =
      unknown === 'rro'
        ? ['recursively read-only', 'recursive_read_only']
        : [unknown, `${unknown} of mount_options`]
    throw new CriError(
      'failed-precondition',
      `mount of ${mount.hostPath} at ${mount.containerPath}: runtime handler ${name} can't make it ${what} ` +
        `(its \`features\` has no mount option ${unknown}): use a newer OCI runtime, or leave ${field} out`,
    )
  }
}

/** The images that are mounted as volumes, as they are here now. Throws not-found, for kubelet to pull them. */
export async function resolveImageVolumes(
  { mounts }: Pick<ContainerSpec, 'mounts'>,
  { spec }: Pick<SandboxRecord, 'spec'>,
  { ports }: Pick<RuntimeContext, 'ports'>,
): Promise<readonly ImageVolume[]> {
  const { namespace } = spec.metadata
  const volumes: ImageVolume[] = []
  for (const mount of mounts) {
    if (mount.image === undefined) continue
    const { reference, userSpecifiedImage } = mount.image
    const use = { namespace, userSpecifiedImage, as: 'volume' } as const
    const { id, digest, isArtifact } = await asVolume(mount, () => ports.rootfs.resolve(reference, use))
    volumes.push({
      ...{ containerPath: mount.containerPath, imageId: id, digest: digest ?? id },
      ...(isArtifact === true ? { isNoexec: true } : {}),
    })
  }
  return volumes
}

/** Where the mounts of host paths come from, by the host path. */
export async function mountSources(
  { spec }: ContainerRecord,
  { ports, options }: RuntimeContext,
): Promise<ReadonlyMap<string, MountSource>> {
  const { absentSourcesToReject } = options.mounts
  const mounts = spec.mounts.filter(({ image }) => image === undefined)
  const found = [...new Set(mounts.map(({ hostPath }) => hostPath))].map(async (hostPath) => {
    const propagates = mounts.some((mount) => mount.hostPath === hostPath && mount.propagation !== 'private')
    const mustExist = absentSourcesToReject.some((path) => isWithin(hostPath, path))
    const labelled = mounts.some((mount) => mount.hostPath === hostPath && mount.selinuxRelabel === true)
    const request = { propagates, mustExist, labelled: labelled && ports.selinux.enabled }
    return [hostPath, await ports.hostPaths.mountSource(hostPath, request)] as const
  })
  return new Map(await Promise.all(found))
}

/** Where the image volumes are mounted, by their `sourceKey`. */
export async function mountImageVolumes(
  { id, spec, imageVolumes = [] }: ContainerRecord,
  { userNamespace: user, selinuxLabel }: Pick<RootfsRequest, 'userNamespace' | 'selinuxLabel'>,
  { ports }: RuntimeContext,
): Promise<ReadonlyMap<string, MountSource>> {
  const sources = new Map<string, MountSource>()
  for (const [index, { containerPath, imageId, isNoexec = false }] of imageVolumes.entries()) {
    const mount = spec.mounts.find((each) => each.image !== undefined && each.containerPath === containerPath)
    if (mount === undefined) continue
    const path = await asVolume(mount, async () => {
      const userNamespace = namespaceFor(mount, user)
      const request = { index, imageId, subPath: mount.image?.subPath ?? '', userNamespace, selinuxLabel }
      return ports.imageVolumes.mount(id, request)
    })
    sources.set(sourceKey(mount), {
      path,
      kind: 'directory',
      restrictions: ['nosuid', 'nodev', ...(isNoexec ? (['noexec'] as const) : [])],
    })
  }
  return sources
}

/** The layers of an image are mapped by the pod's user namespace, or not at all. */
function namespaceFor(
  { idMappings }: ContainerMount,
  user: PodUserNamespace | undefined,
): string | undefined {
  if (idMappings === undefined) return undefined
  if (isDeepStrictEqual(idMappings, user?.mappings)) return user?.path
  throw new CriError(
    'failed-precondition',
    "uidMappings and gidMappings are not those of the pod's user namespace: give these",
  )
}

/** The mounts that configuration gives every container, where the request has none. */
export async function defaultMounts({ ports, options }: RuntimeContext): Promise<readonly OciMount[]> {
  return Promise.all(
    options.mounts.defaults.map(async ({ type, source, destination, options: given }) => {
      if (type === 'tmpfs') return { destination, type, source: 'tmpfs', options: given }
      const { path, restrictions } = await ports.hostPaths.mountSource(source, { mustExist: true })
      return {
        destination,
        type,
        source: path,
        options: [...new Set(['rbind', 'rprivate', ...restrictions, ...given])],
      }
    }),
  )
}

/**
 * The VOLUMEs of the image that nothing else is mounted at: a directory or a tmpfs each, with what the image has
 * there, that can be written to. They last as long as the container.
 */
export async function imageDefinedMounts(
  { id, spec }: ContainerRecord,
  { config }: LocalImage,
  taken: readonly OciMount[],
  { ports, options }: RuntimeContext,
): Promise<readonly OciMount[]> {
  const kind = options.mounts.imageVolumes
  if (kind === 'ignore') return []
  const used = new Set([
    ...spec.mounts.map(({ containerPath }) => absolute(containerPath)),
    ...taken.map(({ destination }) => destination),
  ])
  const wanted = [...new Set(config.volumes.map(absolute))].filter(
    (path) => path !== '/' && !used.has(path) && !isOwnDestination(path),
  )
  if (kind === 'tmpfs')
    return wanted.map((destination) => ({
      ...{ destination, type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', 'tmpcopyup'] },
    }))
  const mounts: OciMount[] = []
  for (const [index, destination] of wanted.entries()) {
    const source = await ports.rootfs.makeVolume(id, index, destination)
    mounts.push({ destination, type: 'bind', source, options: ['rbind', 'rprivate', 'rw'] })
  }
  return mounts
}

const absolute = (path: string): string => posix.resolve('/', path)

const isWithin = (path: string, directory: string): boolean =>
  directory === '/' || absolute(path) === directory || absolute(path).startsWith(`${directory}/`)

async function asVolume<Result>(
  { image, containerPath }: ContainerMount,
  act: () => Promise<Result>,
): Promise<Result> {
  try {
    return await act()
  } catch (cause) {
    if (!(cause instanceof CriError)) throw cause
    const what = `${image?.userSpecifiedImage || image?.reference} at ${containerPath}`
    throw new CriError(cause.kind, `${VOLUME_FAILED}: image volume ${what}: ${describeError(cause)}`)
  }
}
