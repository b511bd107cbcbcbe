import { CriError } from '#lib/errors.ts'
import type { OciRuntime } from './oci-runtime.ts'

/** By the handler's name. */
export type OciRuntimes = ReadonlyMap<string, OciRuntime>

export function runtimeOf(runtimes: OciRuntimes, handler: string): OciRuntime {
  const runtime = runtimes.get(handler)
  if (runtime !== undefined) return runtime
  throw new CriError(
    'failed-precondition',
    `runtime handler ${handler} is not configured any more: add it to [runtime.handlers] again`,
  )
}

/** By its handler's runtime; where that is not known (any more), by each that has a state of it. */
export async function deleteContainer(runtimes: OciRuntimes, id: string, handler: string): Promise<void> {
  const known = runtimes.get(handler)
  const all = known === undefined ? [...runtimes.values()].filter((runtime) => runtime.has(id)) : [known]
  for (const runtime of all) await runtime.remove(id)
}
