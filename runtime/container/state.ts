import { CriError } from '#lib/errors.ts'
import type { Process } from '../pod-sandbox/record.ts'
import type { ContainerState, ExitReason } from './record.ts'

export type ContainerEvent =
  | { readonly type: 'created'; readonly init: Process; readonly monitor: Process }
  | { readonly type: 'started'; readonly atNs: string }
  | {
      readonly type: 'exited'
      readonly atNs: string
      readonly exitCode: number
      readonly reason: ExitReason
      readonly message: string
    }

/** The only way a container changes state. Pure: callers persist the result before they show it. */
export function transition(state: ContainerState, event: ContainerEvent): ContainerState {
  switch (event.type) {
    case 'created':
      if (state.phase !== 'creating') throw wrongPhase(state, event)
      return { phase: 'created', init: event.init, monitor: event.monitor }

    case 'started':
      if (state.phase !== 'created') throw wrongPhase(state, event)
      return { phase: 'running', init: state.init, monitor: state.monitor, startedAtNs: event.atNs }

    case 'exited': {
      // A failed start and the exit file may both report one exit; the first to arrive wins.
      if (state.phase === 'exited') return state
      const { type: _, atNs: finishedAtNs, ...exit } = event
      return {
        phase: 'exited',
        startedAtNs: state.phase === 'running' ? state.startedAtNs : undefined,
        finishedAtNs,
        ...exit,
      }
    }
  }
}

function wrongPhase(state: ContainerState, event: ContainerEvent): CriError {
  return new CriError('failed-precondition', `container is ${state.phase}, it cannot be ${event.type}`)
}
