import { beforeEach, expect, test } from 'vitest'
import type { CgroupUsage } from '#runtime/usage-port.ts'
import { containerSpec, noResources, sandboxSpec } from '#test/fakes/records.ts'
import { quiet, type RuntimeLab, runtimeLab } from '#test/fakes/runtime-lab.ts'

let lab: RuntimeLab
let sandboxId: string
let id: string
beforeEach(async () => {
  lab = runtimeLab()
  sandboxId = await lab.runtime.sandboxes.run(sandboxSpec())
  const resources = { ...noResources, memoryLimitBytes: 100, cpuShares: 20 }
  id = await lab.runtime.containers.create(containerSpec({ sandboxId, resources }))
  await lab.runtime.containers.start(id)
})

const update = (changes: Partial<typeof noResources>) =>
  lab.runtime.containers.update(id, { ...noResources, ...changes })
const resources = () => lab.runtime.containers.get(id).spec.resources
const updates = () => lab.host.containers.get(id)?.updates

function uses(usageBytes: number): void {
  const usage: CgroupUsage = {
    cpuNs: 0,
    memory: {
      ...{ usageBytes, workingSetBytes: 0, rssBytes: 0, pageFaults: 0, majorPageFaults: 0 },
      limitBytes: 100,
    },
    swap: undefined,
    tasks: 1,
    pressure: { cpu: undefined, memory: undefined, io: undefined },
  }
  lab.host.cgroupUsages.set(`/kubepods/pod1/${id}`, usage)
}

test('an update sets all limits anew, with those that it does not give', async () => {
  uses(10)
  await update({ memoryLimitBytes: 50 })
  expect(updates()).toEqual([
    { cpu: { shares: 20 }, memory: { limit: 50, swap: 50, checkBeforeUpdate: true } },
  ])
  expect(resources()).toMatchObject({ memoryLimitBytes: 50, cpuShares: 20 })
})

test('a memory limit below what is used now is refused with both figures, and nothing is changed', async () => {
  uses(60)
  await expect(update({ memoryLimitBytes: 50 })).rejects.toMatchObject({
    kind: 'failed-precondition',
    message: expect.stringContaining('memory_limit_in_bytes is 50, but it uses 60 bytes now'),
  })
  expect(updates()).toEqual([])
  expect(resources()).toMatchObject({ memoryLimitBytes: 100 })
})

test('other limits of a container that uses more than it may are changed', async () => {
  uses(110)
  await update({ cpuShares: 30 })
  expect(resources()).toMatchObject({ cpuShares: 30 })
})

test('an update that fails is taken back, and what is told stays as it was', async () => {
  uses(10)
  lab.effects.failAt(lab.effects.journal.length, 'after')
  await expect(update({ memoryLimitBytes: 50, cpuShares: 30 })).rejects.toThrow(
    'monitor.update was made to fail',
  )
  await quiet()
  expect(updates()?.at(-1)).toMatchObject({ cpu: { shares: 20 }, memory: { limit: 100 } })
  expect(resources()).toMatchObject({ memoryLimitBytes: 100, cpuShares: 20 })
})

test("what kubelet tells of a pod's resources is kept, each part until it is told anew", async () => {
  const overhead = { ...noResources, cpuShares: 2 }
  const first = { ...noResources, memoryLimitBytes: 100 }
  const second = { ...noResources, memoryLimitBytes: 200 }
  const { sandboxes } = lab.runtime
  await sandboxes.updateResources(sandboxId, { overhead, containers: first })
  await sandboxes.updateResources(sandboxId, { overhead: undefined, containers: second })
  const later = lab.restart()
  await later.runtime.recover()
  expect(later.runtime.sandboxes.get(sandboxId)).toMatchObject({
    updatedResources: { overhead, containers: second },
  })
})

test('the first update stands beside what the pod was made with; one that has stopped takes none', async () => {
  const { sandboxes } = lab.runtime
  const overhead = { ...noResources, cpuShares: 2 }
  const metadata = { name: 'other', uid: 'u2', namespace: 'default', attempt: 0 }
  const other = await sandboxes.run(sandboxSpec({ metadata, resources: { overhead, containers: undefined } }))
  await sandboxes.updateResources(other, { overhead: undefined, containers: noResources })
  expect(sandboxes.get(other).updatedResources).toEqual({ overhead, containers: noResources })
  await sandboxes.stop(other)
  await expect(sandboxes.updateResources(other, { overhead, containers: undefined })).rejects.toThrow(
    'not ready',
  )
})
