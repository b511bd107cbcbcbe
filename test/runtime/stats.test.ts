import { beforeEach, expect, test } from 'vitest'
import type { CgroupUsage } from '#runtime/usage-port.ts'
import { containerSpec, sandboxSpec } from '#test/fakes/records.ts'
import { quiet, type RuntimeLab, runtimeLab } from '#test/fakes/runtime-lab.ts'

let lab: RuntimeLab
beforeEach(() => {
  lab = runtimeLab()
})

const POD = '/kubepods/pod1'
const pressure = { cpu: undefined, memory: undefined, io: undefined }
const usage = (cpuNs: number, changes: Partial<CgroupUsage> = {}): CgroupUsage => ({
  cpuNs,
  memory: {
    ...{ usageBytes: 100, workingSetBytes: 90, rssBytes: 80, pageFaults: 7, majorPageFaults: 1 },
    limitBytes: 1000,
  },
  swap: { usageBytes: 5, limitBytes: 50 },
  tasks: 2,
  pressure,
  ...changes,
})

async function runningContainer(name = 'app', pod = sandboxSpec()): Promise<string> {
  const { sandboxes, containers } = lab.runtime
  const sandboxId = await sandboxes.run(pod)
  const id = await containers.create(containerSpec({ sandboxId, name, logPath: `${name}.log` }))
  await containers.start(id)
  return id
}
const statsOf = async (id: string) => {
  const [found] = await lab.runtime.stats.containers([lab.runtime.containers.get(id)])
  return found
}
const podStats = async () => {
  const [found] = await lab.runtime.stats.sandboxes(lab.runtime.sandboxes.list())
  return found
}

test('what a running container uses is what its cgroup counts', async () => {
  const id = await runningContainer()
  lab.host.cgroupUsages.set(`${POD}/${id}`, usage(1e9))
  expect((await statsOf(id))?.usage).toMatchObject({ cpuNs: 1e9, memory: { workingSetBytes: 90 }, tasks: 2 })
})

test('all who ask within a second are answered from one sample', async () => {
  const id = await runningContainer()
  lab.host.cgroupUsages.set(`${POD}/${id}`, usage(1e9))
  const [first, second] = await Promise.all([statsOf(id), statsOf(id)])
  lab.host.passTime(900)
  const third = await statsOf(id)
  expect(lab.host.cgroupReads).toBe(1)
  expect([second, third]).toEqual([first, first])
  lab.host.passTime(200)
  await statsOf(id)
  expect(lab.host.cgroupReads).toBe(2)
})

test('the rate is known with the second sample, and not across a cgroup that was made anew', async () => {
  const id = await runningContainer()
  const path = `${POD}/${id}`
  const nanoCores = async (cpuNs: number) => {
    lab.host.cgroupUsages.set(path, usage(cpuNs))
    lab.host.passTime(2000)
    return (await statsOf(id))?.usage?.nanoCores
  }
  expect(await nanoCores(1e9)).toBeUndefined()
  expect(await nanoCores(2e9)).toBeCloseTo(0.5e9, -2)
  expect(await nanoCores(2e9)).toBe(0)
  expect(await nanoCores(1e9)).toBeUndefined()
})

test('one that has ended uses nothing, and still has what it wrote', async () => {
  const id = await runningContainer()
  const written = { atNs: '1', path: '/root', usedBytes: 4096, usedInodes: 2 }
  lab.host.cgroupUsages.set(`${POD}/${id}`, usage(1e9))
  lab.host.written.set(id, written)
  lab.host.exit(id, 0)
  await quiet()
  expect(await statsOf(id)).toMatchObject({ usage: undefined, written })
})

test('one whose cgroup has just gone uses nothing', async () => {
  const id = await runningContainer()
  expect((await statsOf(id))?.usage).toBeUndefined()
})

test("a pod with a cgroup of its own uses what that counts, with its volumes' memory", async () => {
  const id = await runningContainer()
  lab.host.cgroupUsages.set(`${POD}/${id}`, usage(1e9))
  lab.host.cgroupUsages.set(POD, usage(3e9, { tasks: 9 }))
  expect(await podStats()).toMatchObject({
    usage: { cpuNs: 3e9, tasks: 9 },
    containers: [{ record: { id }, usage: { cpuNs: 1e9 } }],
  })
})

test('one that shares its cgroup uses what its containers and its init use together', async () => {
  const shared = { cgroupParent: '/pods' }
  const init = { network: 'pod', pid: 'pod', ipc: 'pod' } as const
  const id = await runningContainer('app', sandboxSpec({ ...shared, namespaces: init }))
  const metadata = { name: 'other', uid: 'u2', namespace: 'default', attempt: 0 }
  await lab.runtime.sandboxes.run(sandboxSpec({ ...shared, metadata }))
  const [sandbox] = lab.runtime.sandboxes.list()
  lab.host.cgroupUsages.set('/pods', usage(9e9))
  lab.host.cgroupUsages.set(`/pods/${id}`, usage(1e9))
  lab.host.cgroupUsages.set(`/pods/${sandbox?.id}`, usage(2e9, { swap: undefined }))
  expect((await podStats())?.usage).toMatchObject({
    cpuNs: 3e9,
    memory: { usageBytes: 200, workingSetBytes: 180, rssBytes: 160, pageFaults: 14, limitBytes: 2000 },
    swap: undefined,
    tasks: 4,
  })
})

test("the network is that of the pod's namespace; on the host's there is none", async () => {
  const id = await lab.runtime.sandboxes.run(sandboxSpec())
  const eth0 = { name: 'eth0', receivedBytes: 1, receiveErrors: 2, sentBytes: 3, sendErrors: 4 }
  lab.host.interfaces.set(`/ns/${id}/net`, [eth0])
  expect((await podStats())?.network?.interfaces).toEqual([eth0])
  await lab.runtime.sandboxes.remove(id)
  await lab.runtime.sandboxes.run(
    sandboxSpec({ namespaces: { network: 'node', pid: 'container', ipc: 'pod' } }),
  )
  expect((await podStats())?.network).toBeUndefined()
})
