import { expect, test } from 'vitest'
import { cgroupsPath } from './cgroups-path.ts'

test.for([
  ['cgroupfs', '/kubepods/burstable/pod1', '/kubepods/burstable/pod1/id'],
  ['cgroupfs', 'kubepods/pod1/', '/kubepods/pod1/id'],
  ['cgroupfs', '', '/cri-ts/id'],
  ['systemd', '/kubepods.slice/kubepods-pod1_2.slice', 'kubepods-pod1_2.slice:cri-ts:id'],
  ['systemd', 'user.slice', 'user.slice:cri-ts:id'],
  ['systemd', '', 'system.slice:cri-ts:id'],
] as const)('with the %s driver a container in %j is %s', ([driver, parent, expected]) => {
  expect(cgroupsPath(parent, 'id', driver)).toBe(expected)
})

test.for([
  ['cgroupfs', '/kubepods.slice/kubepods-pod1.slice'],
  ['cgroupfs', '/kubepods/../../system'],
  ['systemd', '/kubepods/pod1'],
  ['systemd', '.slice'],
  ['systemd', '-a.slice'],
  ['systemd', 'a--b.slice'],
  ['systemd', 'a:b.slice'],
  ['systemd', `${'a'.repeat(250)}.slice`],
] as const)('the %s driver refuses %j by name', ([driver, parent]) => {
  expect(() => cgroupsPath(parent, 'id', driver)).toThrow(
    expect.objectContaining({ kind: 'invalid-argument', message: expect.stringContaining(parent) }),
  )
})
