import { CriError } from '#lib/errors.ts'
import type { ContainerEdits, HookFile } from '../injection-port.ts'
import { applyEdits, NO_EDITS } from '../oci-spec/apply-edits.ts'
import { matchingHooks } from '../oci-spec/matching-hooks.ts'
import type { OciSpec } from '../oci-spec/oci-spec.ts'
import type { SandboxSpec } from '../pod-sandbox/record.ts'
import type { RuntimeContext } from '../runtime-context.ts'
import type { ContainerRecord, ContainerSpec } from './record.ts'

export interface Injections {
  /** Of the CDI devices that were asked for. */
  readonly edits: readonly ContainerEdits[]
  readonly hookFiles: readonly HookFile[]
}

/** Reads what this node puts into a container beside what it asks for itself. */
export async function readInjections(
  record: ContainerRecord,
  context: Pick<RuntimeContext, 'ports' | 'options'>,
): Promise<Injections> {
  const [edits, hookFiles] = await Promise.all([cdiEdits(record, context), context.ports.hooks.files()])
  return { edits, hookFiles }
}

/** config.json with the edits made, and with those hooks that are for this container. */
export function inject(
  ociSpec: OciSpec,
  { edits, hookFiles }: Injections,
  { mounts, annotations }: ContainerSpec,
  sandbox: SandboxSpec,
): OciSpec {
  const hooks = matchingHooks(hookFiles, {
    annotations: { ...annotations, ...sandbox.annotations },
    program: ociSpec.process.args[0] ?? '',
    hasBindMounts: mounts.length > 0,
  })
  return applyEdits(ociSpec, hooks.length === 0 ? edits : [...edits, { ...NO_EDITS, hooks }])
}

async function cdiEdits(
  record: ContainerRecord,
  { ports, options }: Pick<RuntimeContext, 'ports' | 'options'>,
): Promise<readonly ContainerEdits[]> {
  const { cdiDevices = [] } = record.spec
  if (cdiDevices.length === 0) return []
  const edits = await ports.cdi.edits(cdiDevices)
  for (const each of edits) requireFeatures(each, record, options)
  return edits
}

/** An OCI runtime that does not know a part of config.json leaves it out unsaid. */
function requireFeatures(
  { netDevices, intelRdt }: ContainerEdits,
  { spec, handler }: ContainerRecord,
  options: RuntimeContext['options'],
): void {
  const { features } = options.handler(handler)
  const lacking = [
    ...(netDevices.length > 0 && !features.netDevices ? ['netDevices'] : []),
    ...(intelRdt?.schemata !== undefined && !features.rdtSchemata ? ['intelRdt.schemata'] : []),
    ...(intelRdt?.enableMonitoring === true && !features.rdtMonitoring ? ['intelRdt.enableMonitoring'] : []),
  ]
  if (lacking.length === 0) return
  throw new CriError(
    'failed-precondition',
    `CDI device ${spec.cdiDevices?.join(', ')} needs ${lacking.join(' and ')}, which runtime handler ${handler} can't do ` +
      '(its `features` does not have it): use a newer OCI runtime, or another device',
  )
}
