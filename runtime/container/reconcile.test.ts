import { expect, test } from 'vitest'
import type { Observation } from '../monitor-port.ts'
import { reconcile } from './reconcile.ts'
import type { ContainerState } from './record.ts'

const process = { pid: 42, startTimeTicks: '7' }
const states = {
  created: { phase: 'created', init: process, monitor: process },
  running: { phase: 'running', startedAtNs: '1', init: process, monitor: process },
  exited: {
    phase: 'exited',
    startedAtNs: '1',
    finishedAtNs: '2',
    exitCode: 0,
    reason: 'Completed',
    message: '',
  },
} satisfies { [phase: string]: ContainerState }

test.for<[keyof typeof states, Observation, string | undefined]>([
  ['created', { seen: 'alive' }, undefined],
  ['created', { seen: 'nothing' }, 'Unknown 255 at 9'],
  ['running', { seen: 'alive' }, undefined],
  ['running', { seen: 'exiting' }, undefined],
  ['running', { seen: 'nothing' }, 'Unknown 255 at 9'],
  ['running', { seen: 'exited', atNs: '5', exitCode: 0, oomKilled: false }, 'Completed 0 at 5'],
  ['running', { seen: 'exited', atNs: '5', exitCode: 3, oomKilled: false }, 'Error 3 at 5'],
  ['running', { seen: 'exited', atNs: '5', exitCode: 137, oomKilled: true }, 'OOMKilled 137 at 5'],
  ['exited', { seen: 'nothing' }, undefined],
])('%s, host says %o → %s', ([phase, observed, expected]) => {
  const event = reconcile(states[phase], observed, '9')
  const told = event?.type === 'exited' ? `${event.reason} ${event.exitCode} at ${event.atNs}` : event?.type
  expect(told).toBe(expected)
})
