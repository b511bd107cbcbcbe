import { expect, test } from 'vitest'
import { cgroupDirectory, readHierarchies } from './cgroups.ts'
import { ownCgroup } from './monitor-cgroup.ts'

test('a hybrid host has version 1, and its unified hierarchy too: runc puts containers there', () => {
  const mountinfo = [
    '25 24 0:22 / /sys/fs/cgroup/memory rw,relatime shared:8 - cgroup cgroup rw,memory',
    '26 24 0:23 / /sys/fs/cgroup/systemd rw,relatime shared:9 - cgroup cgroup rw,name=systemd',
    '27 24 0:24 / /sys/fs/cgroup/unified rw,relatime shared:10 - cgroup2 cgroup2 rw',
    '28 1 0:25 / /proc rw - proc proc rw',
  ].join('\n')
  expect(readHierarchies(mountinfo)).toEqual({
    version: 1,
    mounts: [
      { name: 'memory', path: '/sys/fs/cgroup/memory' },
      { name: 'name=systemd', path: '/sys/fs/cgroup/systemd' },
      { name: 'unified', path: '/sys/fs/cgroup/unified' },
    ],
  })
})

test('a host with one unified hierarchy has version 2', () => {
  const mountinfo = '30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate'
  expect(readHierarchies(mountinfo)).toEqual({
    version: 2,
    mounts: [{ name: 'unified', path: '/sys/fs/cgroup' }],
  })
})

test.for([
  ['/kubepods/burstable/pod1/abc', '/kubepods/burstable/pod1/abc'],
  [
    'kubepods-burstable-pod1.slice:cri-ts:abc',
    '/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-ts-abc.scope',
  ],
  ['-.slice:cri-ts:abc', '/cri-ts-abc.scope'],
  ['/kubepods.slice/kubepods-pod1.slice', '/kubepods.slice/kubepods-pod1.slice'],
  ['kubepods-pod1.slice', '/kubepods.slice/kubepods-pod1.slice'],
  ['-.slice', '/'],
] as const)('%s lies at %s', ([cgroupsPath, directory]) => {
  expect(cgroupDirectory(cgroupsPath)).toBe(directory)
})

test.for([
  ['memory', '/system.slice/x'],
  ['unified', '/system.slice/cri-ts.service'],
  ['pids', '/'],
] as const)("the daemon's cgroup in %s is %s", ([hierarchy, path]) => {
  const text = '4:memory:/system.slice/x/cri-ts-monitors\n0::/system.slice/cri-ts.service\n'
  expect(ownCgroup(text, hierarchy)).toBe(path)
})
