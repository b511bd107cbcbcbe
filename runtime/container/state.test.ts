import { describe, expect, test } from 'vitest'
import type { ContainerState } from './record.ts'
import { transition } from './state.ts'

const init = { pid: 42, startTimeTicks: '7' }
const monitor = { pid: 41, startTimeTicks: '6' }
const created: ContainerState = { phase: 'created', init, monitor }
const started = { type: 'started', atNs: '1' } as const
const exited = { type: 'exited', atNs: '2', exitCode: 137, reason: 'OOMKilled', message: 'm' } as const

describe('transition', () => {
  test('creating → created → running → exited keeps what is known', () => {
    const running = transition(transition({ phase: 'creating' }, { type: 'created', init, monitor }), started)
    expect(running).toEqual({ phase: 'running', init, monitor, startedAtNs: '1' })
    expect(transition(running, exited)).toEqual({
      phase: 'exited',
      startedAtNs: '1',
      finishedAtNs: '2',
      exitCode: 137,
      reason: 'OOMKilled',
      message: 'm',
    })
  })

  test('a second report of the same exit changes nothing', () => {
    const once = transition(created, exited)
    expect(transition(once, { ...exited, exitCode: 0 })).toBe(once)
  })

  test.for([
    [transition(created, exited), started, 'container is exited, it cannot be started'],
    [{ phase: 'creating' } as const, started, 'container is creating, it cannot be started'],
    [created, { type: 'created', init, monitor } as const, 'container is created, it cannot be created'],
  ] as const)('%o does not take %o', ([state, event, message]) => {
    expect(() => transition(state, event)).toThrow(message)
  })
})
