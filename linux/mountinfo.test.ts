import { expect, test } from 'vitest'
import { hangsWith, isWithin } from './mountinfo.ts'

const mountinfo = [
  '22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/root rw',
  '30 22 0:40 / /mnt/nfs\\040share rw shared:2 - nfs4 server:/export rw',
  '31 22 0:41 / /mnt/local rw shared:3 - tmpfs tmpfs rw',
  '32 31 0:42 / /mnt/local/user rw - fuse.sshfs host:/ rw',
].join('\n')

test.for([
  ['/mnt/nfs share/a/b', '/mnt/nfs share'],
  ['/mnt/nfs share', '/mnt/nfs share'],
  ['/mnt/local/user/x', '/mnt/local/user'],
  ['/mnt/local/other', '/mnt/local/other'],
  ['/mnt/local/username', '/mnt/local/username'],
  ['/srv', '/srv'],
] as const)('with %s hangs %s', ([path, expected]) => {
  expect(hangsWith(path, mountinfo)).toBe(expected)
  expect(isWithin(path, expected)).toBe(true)
})
