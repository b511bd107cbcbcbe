import { isDeepStrictEqual } from 'node:util'
import type { MountSource, PodUserNamespace } from '../ports.ts'
import type { RuntimeContext } from '../runtime-context.ts'
import type { ContainerMount, ContainerRecord } from './record.ts'

/** Copies, with the ids that were asked for, of what is mounted with mappings of its own. */
export async function mappedSources(
  { id, spec }: ContainerRecord,
  sources: ReadonlyMap<string, MountSource>,
  user: PodUserNamespace | undefined,
  { ports }: RuntimeContext,
): Promise<ReadonlyMap<ContainerMount, string>> {
  const mapped = new Map<ContainerMount, string>()
  for (const [index, mount] of spec.mounts.entries()) {
    const { hostPath, idMappings } = mount
    const source = sources.get(hostPath)
    if (idMappings === undefined || source === undefined) continue
    const userNamespace = isDeepStrictEqual(idMappings, user?.mappings) ? user?.path : undefined
    const request = { containerId: id, name: `${index}`, source, mappings: idMappings, userNamespace }
    mapped.set(mount, await ports.mappedMounts.mount(request))
  }
  return mapped
}
