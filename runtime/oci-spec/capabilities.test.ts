import { expect, test } from 'vitest'
import { capabilityNames } from '#lib/capability-names.ts'
import { defaultCapabilities } from '../container-defaults.ts'
import { resolveCapabilities } from './capabilities.ts'

const held = capabilityNames.filter((name) => name !== 'CAP_SYS_RESOURCE')
const granted = (add: readonly string[], drop: readonly string[], privileged = false) =>
  resolveCapabilities({ privileged, addCapabilities: add, dropCapabilities: drop }, held, defaultCapabilities)
    .effective

test('the default list is what containerd gives, within what the daemon holds', () => {
  const defaults = granted([], [])
  expect(defaults).toHaveLength(14)
  expect(defaults).toEqual(expect.arrayContaining(['CAP_CHOWN', 'CAP_NET_RAW', 'CAP_MKNOD']))
  const request = { privileged: false, addCapabilities: [], dropCapabilities: [] }
  expect(resolveCapabilities(request, ['CAP_KILL', 'CAP_BPF'], defaultCapabilities).effective).toEqual([
    'CAP_KILL',
  ])
})

test('what is not ambient goes to the bounding, the effective and the permitted set, and to no other', () => {
  const request = { privileged: false, addCapabilities: ['ALL'], dropCapabilities: [] }
  const all = resolveCapabilities(request, held, defaultCapabilities)
  expect(all).toEqual({ bounding: held, effective: held, permitted: held })
})

test('names are added and dropped, with or without CAP_, in any case', () => {
  const caps = granted(['net_admin', 'CAP_SYS_TIME'], ['chown', 'Cap_Kill'])
  expect(caps).toEqual(expect.arrayContaining(['CAP_NET_ADMIN', 'CAP_SYS_TIME']))
  expect(caps).not.toContain('CAP_CHOWN')
  expect(caps).not.toContain('CAP_KILL')
})

test('ALL comes first, so that all but one, or one alone, can be said', () => {
  expect(granted(['ALL'], ['CHOWN'])).toEqual(held.filter((name) => name !== 'CAP_CHOWN'))
  expect(granted(['NET_BIND_SERVICE'], ['all'])).toEqual(['CAP_NET_BIND_SERVICE'])
  expect(granted(['ALL'], ['ALL'])).toEqual([])
})

test('a privileged container has what the daemon holds, whatever else it asks', () => {
  expect(granted([], ['ALL'], true)).toEqual(held)
})

test('an ambient one is added to all sets, and one that is dropped to none', () => {
  const resolve = (ambient: readonly string[], drop: readonly string[], privileged = false) =>
    resolveCapabilities(
      { privileged, addCapabilities: [], dropCapabilities: drop, ambientCapabilities: ambient },
      held,
      defaultCapabilities,
    )
  const admin = ['CAP_NET_ADMIN']
  const alone = { bounding: admin, effective: admin, permitted: admin, inheritable: admin, ambient: admin }
  expect(resolve(['net_admin'], ['ALL'])).toEqual(alone)
  expect(resolve(['NET_ADMIN', 'CHOWN'], ['CHOWN'])).toMatchObject({ inheritable: admin, ambient: admin })
  expect(resolve(['ALL'], [])).toMatchObject({ effective: held, inheritable: held, ambient: held })
  expect(resolve(['NET_ADMIN'], [], true)).toMatchObject({
    effective: held,
    inheritable: admin,
    ambient: admin,
  })
  expect(() => resolve(['SYS_RESOURCE'], [])).toThrow('CAP_SYS_RESOURCE')
  expect(() => resolve(['NET_ADMN'], [])).toThrow('did you mean NET_ADMIN?')
})

test('an unknown name is refused, with the nearest one', () => {
  for (const [field, add, drop] of [
    ['add_capabilities', ['NET_ADMN'], []],
    ['drop_capabilities', [], ['NET_ADMN']],
  ] as const) {
    expect(() => granted(add, drop)).toThrow(
      expect.objectContaining({
        kind: 'invalid-argument',
        message: `linux.security_context.capabilities.${field} has "NET_ADMN", which is no capability: did you mean NET_ADMIN?`,
      }),
    )
  }
})

test('one that the daemon does not hold can be dropped, but not added', () => {
  expect(granted([], ['SYS_RESOURCE'])).toHaveLength(14)
  expect(() => granted(['SYS_RESOURCE'], [])).toThrow(
    expect.objectContaining({
      kind: 'failed-precondition',
      message: expect.stringContaining('CAP_SYS_RESOURCE'),
    }),
  )
})
