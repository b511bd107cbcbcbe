import { expect, test } from 'vitest'
import type { HostDevice } from '../ports.ts'
import { buildDevices } from './devices.ts'

const fuse: HostDevice = {
  path: '/dev/fuse',
  type: 'c',
  major: 10,
  minor: 229,
  mode: 0o4660,
  uid: 0,
  gid: 5,
  permissions: 'rw',
}

test('a device is made as on the host, and may be used as asked; all others may not', () => {
  expect(buildDevices([fuse], false)).toEqual({
    devices: [{ path: '/dev/fuse', type: 'c', major: 10, minor: 229, fileMode: 0o660, uid: 0, gid: 5 }],
    rules: [
      { allow: false, access: 'rwm' },
      { allow: true, type: 'c', major: 10, minor: 229, access: 'rw' },
    ],
  })
})

test('a privileged container may use all', () => {
  expect(buildDevices([fuse], true)).toMatchObject({
    devices: [{ path: '/dev/fuse' }],
    rules: [{ allow: true, access: 'rwm' }],
  })
})

test('of two devices at one path the later is made', () => {
  const { devices } = buildDevices([fuse, { ...fuse, minor: 1 }], true)
  expect(devices.map(({ minor }) => minor)).toEqual([1])
})
