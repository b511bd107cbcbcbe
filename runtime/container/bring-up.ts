import { CriError, invalidArgument } from '#lib/errors.ts'
import type { OpenedCheckpoint } from '../checkpoint-port.ts'
import { confinementOf } from '../confinement.ts'
import { buildOciSpec, type ContainerNamespaces } from '../oci-spec/build-spec.ts'
import { cgroupsPath } from '../oci-spec/cgroups-path.ts'
import { classLimits, withClassLimits } from '../oci-spec/resource-classes.ts'
import { resolveUser } from '../oci-spec/user.ts'
import { podUserNamespace } from '../oci-spec/user-namespace.ts'
import type { Process, SandboxRecord } from '../pod-sandbox/record.ts'
import type { LocalImage } from '../ports.ts'
import type { RuntimeContext } from '../runtime-context.ts'
import { labelsOfContainer } from '../selinux/selinux.ts'
import { requireMounts } from './checkpointing.ts'
import { findDevices, ownedBy } from './devices.ts'
import { inject, readInjections } from './injections.ts'
import { mappedSources } from './mapped-sources.ts'
import {
  defaultMounts,
  imageDefinedMounts,
  mountImageVolumes,
  mountSources,
  requireMountFeatures,
} from './mounts.ts'
import type { ContainerRecord, ResolvedUser } from './record.ts'
import { labelVolumes } from './volume-labels.ts'

export interface BroughtUp {
  readonly user: ResolvedUser
  readonly init: Process
  readonly monitor: Process
}

/** What a container is made with beside its image. */
export interface Joined {
  /** Of the container whose PID namespace is joined, if one is. */
  readonly targetInit: Process | undefined
  /** What it goes on from, if it does not begin anew. */
  readonly checkpoint: OpenedCheckpoint | undefined
}

/**
 * Makes the container, up to an init that waits to be started. What it leaves behind when it throws,
 * `teardownContainer` removes.
 */
export async function bringUpContainer(
  record: ContainerRecord,
  sandbox: SandboxRecord,
  image: LocalImage,
  { targetInit, checkpoint }: Joined,
  context: RuntimeContext,
): Promise<BroughtUp> {
  const { id, spec } = record
  const { ports, host, options } = context
  requireMountFeatures(record, context)
  const pinned = await ports.namespaces.find(sandbox.id)
  const userNamespace = podUserNamespace(sandbox, pinned.user)
  if (userNamespace !== undefined && checkpoint !== undefined) throw notRestorable(sandbox.id)
  const selinux = await labelsOfContainer(spec, sandbox, context)
  const limits = classLimits(spec, sandbox.spec, ports.classes)
  const foreign = Promise.all([
    mountSources(record, context),
    defaultMounts(context),
    findDevices(record, sandbox.spec, context),
    readInjections(record, context),
    confinementOf(spec.security, record.handler, context),
    makeLogDirectory(record, sandbox, context),
  ])
  const seenAs = { userNamespace, selinuxLabel: selinux?.mount }
  const written = checkpoint?.upperDirectory
  const mounted = ports.rootfs.mount(id, record.imageId, { written, ...seenAs })
  const imageSources = mountImageVolumes(record, seenAs, context)
  // None may still act when a failure of another is torn down.
  await Promise.allSettled([foreign, mounted, imageSources])
  const [sources, defaults, hostDevices, injections, confinement] = await foreign
  const rootfsPath = await mounted
  const volumes = await imageDefinedMounts(record, image, defaults, context)
  const user = await userOf(record, image, context)
  const mapped = await mappedSources(record, sources, userNamespace, context)
  await labelVolumes(record, selinux, { sources, volumes }, context)
  const path = cgroupsPath(sandbox.spec.cgroupParent, id, host.cgroupDriver)
  const files = options.sandboxPaths(sandbox.id)
  const built = buildOciSpec({
    ...{ container: spec, containerId: id, sandbox, image, user, rootfsPath },
    handler: options.handler(record.handler),
    namespaces: {
      ...pinned,
      user: userNamespace,
      pid: pidNamespaceOf(spec.security.namespaces.pid, sandbox, targetInit),
    },
    sandboxFiles: { ...files, shm: sandbox.spec.namespaces.ipc === 'pod' ? files.shm : undefined },
    mountSources: new Map([...sources, ...(await imageSources)]),
    extraMounts: [...defaults, ...volumes],
    mappedSources: mapped,
    devices: options.defaults.devicesOfUser ? ownedBy(hostDevices, user, spec.security.user) : hostDevices,
    ...{ defaults: options.defaults, host, hostname: options.hostname(), cgroupsPath: path },
    ...confinement,
    selinux,
  })
  const ociSpec = inject(withClassLimits(built, limits), injections, spec, sandbox.spec)
  if (checkpoint !== undefined) requireMounts(checkpoint, ociSpec)
  const { tty, stdin, stdinOnce } = spec
  const { handler, logFile } = record
  const started = await ports.monitor.create({
    ...{ id, handler, ociSpec, cgroupsPath: path },
    ...{ tty, stdin, stdinOnce, logFile, logDirectory: sandbox.spec.logDirectory },
    ...(checkpoint === undefined ? {} : { restoreFrom: checkpoint.imagesDirectory }),
  })
  if (mapped.size > 0) await ports.mappedMounts.remove(id) // The container has mounts of its own now.
  return { user, ...started }
}

/** Names are those of the mounted image. */
async function userOf(
  { id, spec }: ContainerRecord,
  { config }: LocalImage,
  { ports }: RuntimeContext,
): Promise<ResolvedUser> {
  const [passwd, group] = await Promise.all([
    ports.rootfs.readFile(id, '/etc/passwd'),
    ports.rootfs.readFile(id, '/etc/group'),
  ])
  return resolveUser(spec.security.user, config.user, passwd, group)
}

/** The files of a checkpoint have ids of another user namespace, or of none. */
const notRestorable = (sandboxId: string): CriError =>
  new CriError(
    'failed-precondition',
    `a checkpoint can't be restored in a user namespace, which pod sandbox ${sandboxId} has: restore it in a pod with hostUsers: true`,
  )

/** The pod's, again: someone may have cleaned up. The monitor makes what is below it. */
async function makeLogDirectory(
  { logFile }: ContainerRecord,
  { spec }: SandboxRecord,
  { ports }: RuntimeContext,
): Promise<void> {
  if (logFile !== '') await ports.hostPaths.makeLogDirectory(spec.logDirectory)
}

function pidNamespaceOf(
  mode: ContainerRecord['spec']['security']['namespaces']['pid'],
  sandbox: SandboxRecord,
  targetInit: Process | undefined,
): ContainerNamespaces['pid'] {
  if (mode === 'container') return 'private'
  if (mode === 'node') {
    if (sandbox.spec.namespaces.pid === 'node') return 'host'
    throw invalidArgument(
      `the container asks for the host's PID namespace, but its pod sandbox ${sandbox.id} does not: ` +
        'set namespace_options.pid = NODE in the pod sandbox config too',
    )
  }
  const init =
    mode === 'target' ? targetInit : sandbox.state.phase === 'ready' ? sandbox.state.init?.init : undefined
  if (init !== undefined) return { path: `/proc/${init.pid}/ns/pid` }
  throw new CriError(
    'failed-precondition',
    mode === 'target'
      ? 'the container whose PID namespace is to be joined (target_id) does not run'
      : `pod sandbox ${sandbox.id} has no shared PID namespace: create it with namespace_options.pid = POD`,
  )
}
