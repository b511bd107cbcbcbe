import type { MonitoredContainer } from '#runtime/monitor-port.ts'
import type { Cgroup } from './cgroups.ts'
import { hasOwnInits } from './exit-waiter.ts'
import type { OciRuntime } from './oci-runtime.ts'
import { signalProcess } from './signal-process.ts'

interface Target {
  readonly container: MonitoredContainer
  /** Undefined where its handler is not configured any more. */
  readonly runtime: OciRuntime | undefined
  readonly cgroup: Cgroup | undefined
}

const SIGKILL = 9

/** False when it has ended. */
export async function signalContainer(
  { container: { id, init }, runtime, cgroup }: Target,
  signal: number,
  all: boolean,
): Promise<boolean> {
  if (runtime !== undefined && !hasOwnInits(runtime.options)) {
    if (await runtime.kill(id, signal, all)) return true
    // One that was never started: all there is of it is who waits for its end.
    return signal === SIGKILL && signalProcess(init, signal)
  }
  const killsAll = all && signal === SIGKILL
  if (killsAll) cgroup?.kill()
  return signalProcess(init, signal) || killsAll // The init may have moved to another cgroup.
}
