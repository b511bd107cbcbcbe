import { expect, test } from 'vitest'
import type { ContainerEdits } from '../injection-port.ts'
import { applyEdits, NO_EDITS } from './apply-edits.ts'
import { buildOciSpec } from './build-spec.ts'
import { sampleInput } from './sample-input.ts'

const built = buildOciSpec({ ...sampleInput, user: { uid: 1000, gid: 1001, additionalGids: [1001] } })
const edited = (...edits: readonly Partial<ContainerEdits>[]) =>
  applyEdits(
    built,
    edits.map((each) => ({ ...NO_EDITS, ...each })),
  )

test('without edits all is as it was', () => {
  expect(applyEdits(built, [])).toBe(built)
  expect(edited({})).toEqual(built)
})

test('variables go over those of the container, the later over the earlier', () => {
  const { env } = edited({ env: ['LANG=de', 'A=1'] }, { env: ['A=2'] }).process
  expect(env).toContain('LANG=de')
  expect(env).toContain('A=2')
  expect(env).not.toContain('LANG=C')
  expect(env).not.toContain('A=1')
})

test("a device is the container's user's unless it says otherwise, and may be used as it says", () => {
  const device = { path: '/dev/gpu', type: 'c', major: 226, minor: 0, permissions: 'rw' } as const
  const { linux } = edited({ devices: [device] }, { devices: [{ ...device, minor: 1, uid: 0, mode: 0o600 }] })
  expect(linux.devices).toEqual([
    { path: '/dev/gpu', type: 'c', major: 226, minor: 1, fileMode: 0o600, uid: 0, gid: 1001 },
  ])
  expect(linux.resources.devices?.slice(-2)).toEqual(
    [0, 1].map((minor) => ({ allow: true, type: 'c', major: 226, minor, access: 'rw' })),
  )
})

test('a FIFO and a device of no permissions have no rule; an unbuffered one is a character device', () => {
  const { linux } = edited({
    devices: [
      { path: '/a', type: 'p', permissions: 'rwm' },
      { path: '/b', type: 'c', major: 1, minor: 2, permissions: '' },
      { path: '/c', type: 'u', major: 3, minor: 4, permissions: 'm' },
    ],
  })
  expect(linux.devices.map(({ type }) => type)).toEqual(['p', 'c', 'u'])
  expect(linux.resources.devices?.slice(built.linux.resources.devices?.length)).toEqual([
    { allow: true, type: 'c', major: 3, minor: 4, access: 'm' },
  ])
})

test('a mount replaces one at its path and lies below what is mounted in it', () => {
  const mount = (containerPath: string, options: readonly string[], type = '') => ({
    hostPath: '/host',
    ...{ containerPath, options, type },
  })
  const { mounts } = edited(
    { mounts: [mount('/etc/hosts', ['ro', 'bind']), mount('/opt/a/b', [])] },
    { mounts: [mount('/opt/', ['ro']), mount('/scratch', ['size=1m'], 'tmpfs')] },
  )
  const destinations = mounts.map(({ destination }) => destination)
  expect(destinations.filter((path) => path === '/etc/hosts')).toHaveLength(1)
  expect(destinations.slice(-3)).toEqual(['/opt/', '/opt/a/b', '/scratch'])
  const at = (path: string) => mounts.find(({ destination }) => destination === path)
  expect(at('/etc/hosts')).toEqual({
    destination: '/etc/hosts',
    source: '/host',
    type: 'bind',
    options: ['ro', 'bind'],
  })
  expect(at('/opt/')?.options).toEqual(['rbind', 'ro'])
  expect(at('/scratch')).toMatchObject({ type: 'tmpfs', options: ['size=1m'] })
})

test('hooks are appended to their stages; groups, RDT and network devices are added', () => {
  const { hooks, process, linux } = edited(
    { hooks: [{ stage: 'prestart', path: '/a', timeout: 3 }], additionalGids: [0, 44] },
    {
      hooks: [
        { stage: 'prestart', path: '/b' },
        { stage: 'poststop', path: '/c', args: ['c'], env: ['X=y'] },
      ],
      additionalGids: [44, 1001],
      intelRdt: { closID: 'gold' },
      netDevices: [{ hostName: 'eth1', name: 'net1' }],
    },
  )
  expect(hooks).toEqual({
    prestart: [{ path: '/a', timeout: 3 }, { path: '/b' }],
    poststop: [{ path: '/c', args: ['c'], env: ['X=y'] }],
  })
  expect(process.user).toEqual({ uid: 1000, gid: 1001, additionalGids: [1001, 44] })
  expect(linux).toMatchObject({ intelRdt: { closID: 'gold' }, netDevices: { eth1: { name: 'net1' } } })
})
