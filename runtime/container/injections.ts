import { CriError } from '#lib/errors.ts'
import type { ContainerEdits } from '../injection-port.ts'
import type { RuntimeContext } from '../runtime-context.ts'
import type { ContainerRecord } from './record.ts'

/** What this node puts into a container beside what it asks for itself: `applyEdits` makes these edits. */
export async function readInjections(
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
