import { CriError, describeError } from '#lib/errors.ts'
import { cgroupsPath } from '../oci-spec/cgroups-path.ts'
import { mergeResources, toOciUpdate } from '../oci-spec/resources.ts'
import type { SandboxRecord } from '../pod-sandbox/record.ts'
import type { RuntimeContext } from '../runtime-context.ts'
import type { ContainerRecord, Resources } from './record.ts'

/** Sets limits of a container that runs, and answers the resources it has then; when it throws, it has the ones before. */
export async function updateResources(
  record: ContainerRecord,
  sandbox: SandboxRecord,
  update: Resources,
  context: RuntimeContext,
): Promise<Resources> {
  const { id, handler, spec } = record
  const { ports, host, log } = context
  const merged = mergeResources(spec.resources, update)
  const limitBytes = update.memoryLimitBytes
  const belowUsage = (): CriError | undefined => {
    const memory = ports.usage.cgroup(cgroupsPath(sandbox.spec.cgroupParent, id, host.cgroupDriver))?.memory
    return memory !== undefined && limitBytes > 0 && memory.usageBytes > limitBytes
      ? refusal(id, limitBytes, memory.usageBytes)
      : undefined
  }
  // Version 2 takes such a limit, and kills the container for it. Version 1 makes room or refuses.
  const refused = host.cgroupVersion === 2 ? belowUsage() : undefined
  if (refused !== undefined) throw refused
  try {
    await ports.monitor.update(id, handler, toOciUpdate(merged, host))
  } catch (error) {
    const before = toOciUpdate(spec.resources, host)
    await ports.monitor.update(id, handler, before).catch((failure: unknown) => {
      log.warn(
        { containerId: id, err: describeError(failure) },
        'limits may be set in part: they could not be set back',
      )
    })
    throw belowUsage() ?? error
  }
  return merged
}

const refusal = (id: string, limitBytes: number, usageBytes: number): CriError =>
  new CriError(
    'failed-precondition',
    `container ${id}: linux.resources.memory_limit_in_bytes is ${limitBytes}, but it uses ${usageBytes} bytes now: ` +
      'give a higher limit, or try again when it uses less',
  )
