import { CriError } from '#lib/errors.ts'
import { seccompProfileOf } from '../confinement.ts'
import type { NamespacePaths, NewNamespaces } from '../namespaces-port.ts'
import { cgroupsPath } from '../oci-spec/cgroups-path.ts'
import { buildInitSpec } from '../oci-spec/init-spec.ts'
import { podUserNamespace } from '../oci-spec/user-namespace.ts'
import type { RuntimeContext } from '../runtime-context.ts'
import { sharedLabel } from '../selinux/labels.ts'
import { requireValid } from '../selinux/selinux.ts'
import { withDefaultSysctls } from './default-sysctls.ts'
import type { Process, SandboxRecord, SandboxSpec, SandboxState } from './record.ts'

/** Makes all that a sandbox consists of. What it leaves behind when it throws, `teardownSandbox` removes. */
export async function bringUpSandbox(
  record: SandboxRecord,
  context: RuntimeContext,
): Promise<Extract<SandboxState, { phase: 'ready' }>> {
  const { id, spec } = record
  const { ports } = context
  if (spec.namespaces.user !== undefined) requireUserNamespaces(spec, context)
  await requireValid(record.selinux, context)
  const ownNetwork = spec.namespaces.network === 'pod'
  const ownIpc = spec.namespaces.ipc === 'pod'

  await ports.podCgroups.ensure(id, spec.cgroupParent)
  const namespaces = await ports.namespaces.create(id, {
    network: ownNetwork,
    ipc: ownIpc,
    uts: ownNetwork, // A pod on the host's network has the host's name.
    user: spec.namespaces.user,
    hostname: spec.hostname,
    sysctls: withDefaultSysctls(spec, context.options.defaults),
  })
  const files = makeFiles(record, context)
  const attached = attach(record, namespaces, context)
  await Promise.allSettled([files, attached]) // Neither may still act when a failure of the other is torn down.
  await files
  const ips = await attached
  if (record.hasInit !== true) return { phase: 'ready', ips }
  return { phase: 'ready', ips, init: await startInit(record, namespaces, context) }
}

function requireUserNamespaces({ handler }: SandboxSpec, { options }: RuntimeContext): void {
  const problem = options.handler(handler).features.userNamespaces
    ? options.userNamespaceProblem
    : `runtime handler ${handler} does not say that it can join one: use another`
  if (problem !== '')
    throw new CriError('failed-precondition', `the pod can't have a user namespace: ${problem}`)
}

/** Where the pod shares a PID namespace, or its handler wants a container that the others live in. */
export const needsInit = (
  spec: Pick<SandboxSpec, 'namespaces' | 'handler'>,
  { options }: RuntimeContext,
): boolean => spec.namespaces.pid === 'pod' || options.handler(spec.handler).sandbox === 'container'

async function makeFiles(
  { id, spec, hasInit, selinux }: SandboxRecord,
  { ports, options }: RuntimeContext,
): Promise<void> {
  if (spec.logDirectory !== '') await ports.hostPaths.makeLogDirectory(spec.logDirectory)
  await ports.files.create(id, {
    hostname: spec.namespaces.network === 'pod' ? spec.hostname : '',
    dns: spec.dns,
    shmSizeBytes:
      spec.namespaces.ipc === 'pod' ? (spec.shmSizeBytes ?? options.mounts.shmSizeBytes) : undefined,
    initRootfs: hasInit === true,
    mappings: spec.namespaces.user,
    ...(selinux === undefined ? {} : { selinuxLabel: sharedLabel(selinux) }),
  })
}

async function attach(
  { id, spec }: SandboxRecord,
  { network, missingSysctls }: NewNamespaces,
  { ports, options }: RuntimeContext,
): Promise<readonly string[]> {
  if (network === undefined) return []
  const ips = await ports.network.attach({
    sandboxId: id,
    netnsPath: network,
    pod: spec.metadata,
    portMappings: spec.portMappings,
    dns: spec.dns,
    annotations: spec.annotations,
    cgroupParent: spec.cgroupParent,
    confDir: options.handler(spec.handler).settings.cniConfDir,
  })
  if (Object.keys(missingSysctls).length > 0) await ports.namespaces.setSysctls(id, missingSysctls)
  return ips
}

/** A container of the sandbox's id, whose PID namespace the pod's containers join, or which they live in. */
async function startInit(
  sandbox: SandboxRecord,
  namespaces: NamespacePaths,
  context: RuntimeContext,
): Promise<{ readonly init: Process; readonly monitor: Process }> {
  const { id, spec } = sandbox
  const { ports, host, options } = context
  const path = cgroupsPath(spec.cgroupParent, id, host.cgroupDriver)
  const started = await ports.monitor.create({
    id,
    handler: spec.handler,
    ociSpec: buildInitSpec({
      sandbox,
      handler: options.handler(spec.handler),
      programPath: options.initPath(),
      rootfsPath: options.sandboxPaths(id).initRootfs,
      namespaces: { ...namespaces, user: podUserNamespace(sandbox, namespaces.user) },
      host,
      cgroupsPath: path,
      seccomp: await seccompProfileOf(spec, spec.handler, context),
    }),
    cgroupsPath: path,
    tty: false,
    stdin: false,
    stdinOnce: false,
    logFile: '',
  })
  await ports.monitor.start(id, spec.handler)
  return started
}
