import type { Observation } from '../monitor-port.ts'
import type { ContainerState } from './record.ts'
import type { ContainerEvent } from './state.ts'

/** The event, if any, that brings a record up to date with the host. Run at start-up and on every exit. */
export function reconcile(
  state: ContainerState,
  observed: Observation,
  nowNs: string,
): ContainerEvent | undefined {
  if (state.phase === 'exited') return undefined
  switch (observed.seen) {
    case 'alive':
    case 'exiting':
      return undefined
    case 'exited': {
      const { atNs, exitCode, oomKilled } = observed
      const message = oomKilled ? 'the kernel killed a process of it: its cgroup was out of memory' : ''
      const reason = oomKilled ? 'OOMKilled' : exitCode === 0 ? 'Completed' : 'Error'
      return { type: 'exited', atNs, exitCode, reason, message }
    }
    case 'nothing':
      return {
        type: 'exited',
        atNs: nowNs,
        exitCode: 255,
        reason: 'Unknown',
        message: 'it is gone without an exit code: the host was restarted, or its monitor was killed',
      }
  }
}
