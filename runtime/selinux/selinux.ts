import { CriError } from '#lib/errors.ts'
import type { ContainerSpec } from '../container/record.ts'
import type { SandboxRecord, SelinuxLabels } from '../pod-sandbox/record.ts'
import type { RuntimeContext } from '../runtime-context.ts'
import type { ContainerContexts } from '../selinux-port.ts'
import { containerLabels } from './labels.ts'

type Context = Pick<RuntimeContext, 'ports'>

/** What a pod's labels are made from; undefined where SELinux is off. */
export async function containerContexts({
  ports: { selinux },
}: Context): Promise<ContainerContexts | undefined> {
  return selinux.enabled ? await selinux.containerContexts() : undefined
}

/** Throws invalid-argument for labels with a part that the policy does not know: nothing could run with them. */
export async function requireValid(
  labels: SelinuxLabels | undefined,
  { ports: { selinux } }: Context,
): Promise<void> {
  for (const label of labels === undefined ? [] : [labels.process, labels.mount]) {
    if (await selinux.isValid(label)) continue
    throw new CriError(
      'invalid-argument',
      `linux.security_context.selinux_options makes the SELinux context ${label}, which the policy of this node does ` +
        'not know: ask for a user, role, type and level of it, or load a policy that has them',
    )
  }
}

/** Undefined where SELinux is off, and in a pod that was made while it was: there a context of its own is refused. */
export async function labelsOfContainer(
  { name, security }: Pick<ContainerSpec, 'name' | 'security'>,
  sandbox: SandboxRecord,
  context: Context,
): Promise<SelinuxLabels | undefined> {
  if (!context.ports.selinux.enabled) return undefined
  if (sandbox.selinux !== undefined) {
    const labels = containerLabels(sandbox.selinux, security.selinux)
    if (security.selinux !== undefined) await requireValid(labels, context)
    return labels
  }
  if (security.selinux === undefined || security.privileged) return undefined
  throw new CriError(
    'failed-precondition',
    `container ${name} asks for selinux_options, but its pod sandbox ${sandbox.id} was made without SELinux: ` +
      'remove the pod and run it anew',
  )
}
