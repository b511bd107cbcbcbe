import fc from 'fast-check'
import { expect, test } from 'vitest'
import { allDevices, deviceNumbers, devicesOf } from './device-nodes.ts'
import { makedev } from './libc.ts'

test('a device node has its type and numbers, at the path that it gets in the container', () => {
  expect(devicesOf({ hostPath: '/dev/null', containerPath: '/dev/nothing', permissions: 'r' })).toEqual([
    { path: '/dev/nothing', type: 'c', major: 1, minor: 3, mode: 0o666, uid: 0, gid: 0, permissions: 'r' },
  ])
})

test('a directory stands for the devices in it and below', () => {
  const paths = devicesOf({ hostPath: '/dev', containerPath: '/host', permissions: 'rw' }).map(
    ({ path }) => path,
  )
  expect(paths).toContain('/host/null')
  expect(paths).not.toContain('/host/stdin')
})

test.for([
  ['/nonexistent/device', 'does not exist'],
  ['/proc/self/status', 'is no device node'],
] as const)('%s is refused: it %s', ([hostPath, reason]) => {
  const look = () => devicesOf({ hostPath, containerPath: '/dev/x', permissions: 'rw' })
  expect(look).toThrow(reason)
  expect(look).toThrow(expect.objectContaining({ kind: 'invalid-argument' }))
})

test('all devices are those of the host but terminals of others and consoles', () => {
  const paths = allDevices().map(({ path }) => path)
  expect(paths).toEqual(expect.arrayContaining(['/dev/null', '/dev/zero', '/dev/urandom']))
  expect(paths.filter((path) => /^\/dev\/(pts|ptmx|console|shm|mqueue|fd)\b/.test(path))).toEqual([])
})

test('device numbers are taken apart as makedev(3) puts them together', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xfff }), fc.integer({ min: 0, max: 0xfffff }), (major, minor) => {
      expect(deviceNumbers(BigInt(makedev(major, minor)))).toEqual({ major, minor })
    }),
  )
})
