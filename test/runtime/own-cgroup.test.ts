import { expect, test } from 'vitest'
import { ownsCgroup } from '#runtime/stats/own-cgroup.ts'
import { sandboxRecord, sandboxSpec } from '#test/fakes/records.ts'

const pod = (id: string, cgroupParent: string) => sandboxRecord(id, { spec: sandboxSpec({ cgroupParent }) })

test.for<[parent: string, others: readonly string[], owns: boolean]>([
  ['/kubepods/pod1', [], true],
  ['/kubepods/pod1', ['/kubepods/pod2', '/kubepods/pod11'], true],
  ['/kubepods/pod1', ['/kubepods/pod1'], false],
  ['/kubepods/pod1', ['kubepods/pod1/'], false],
  ['/kubepods', ['/kubepods/pod1'], false],
  ['/kubepods/pod1', ['/kubepods'], true],
  ['/kubepods.slice/kubepods-pod1.slice', ['kubepods-pod2.slice', 'kubepods-pod11.slice'], true],
  ['/kubepods.slice/kubepods-pod1.slice', ['kubepods-pod1.slice'], false],
  ['kubepods.slice', ['kubepods-pod1.slice'], false],
  ['', [], false],
  ['/', [], false],
  ['/cri-ts/', [], false],
  ['system.slice', [], false],
  ['/system.slice', [], false],
])('a pod in "%s" beside pods in %o has a cgroup of its own: %o', ([parent, others, owns]) => {
  const own = pod('own', parent)
  expect(ownsCgroup(own, [own, ...others.map((other, index) => pod(`${index}`, other))])).toBe(owns)
})

test('a pod that has stopped does not count', () => {
  const own = pod('own', '/pods')
  const stopped = { ...pod('other', '/pods'), state: { phase: 'stopped' as const, ips: [] } }
  expect(ownsCgroup(own, [own, stopped])).toBe(true)
})
