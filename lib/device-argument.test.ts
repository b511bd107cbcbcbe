import { expect, test } from 'vitest'
import { parseDeviceArgument } from './device-argument.ts'

test.for([
  ['/dev/fuse', ['/dev/fuse', '/dev/fuse', 'rwm']],
  ['/dev/sda:/dev/xvda', ['/dev/sda', '/dev/xvda', 'rwm']],
  ['/dev/sda:/dev/xvda:r', ['/dev/sda', '/dev/xvda', 'r']],
  ['/dev/sda:rw', ['/dev/sda', '/dev/sda', 'rw']],
] as const)('%s', ([text, [hostPath, containerPath, permissions]]) => {
  expect(parseDeviceArgument(text)).toEqual({ hostPath, containerPath, permissions })
})

test.for(['', 'fuse', 'dev/fuse', '/dev/fuse:', '/dev/fuse:x', '/dev/a:/dev/b:rwx', '/dev/a:/dev/b:r:w'])(
  '"%s" is none',
  (text) => {
    expect(parseDeviceArgument(text)).toBeUndefined()
  },
)
