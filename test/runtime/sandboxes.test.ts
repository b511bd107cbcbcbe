import { beforeEach, expect, test } from 'vitest'
import { containerSpec, sandboxSpec } from '#test/fakes/records.ts'
import { quiet, type RuntimeLab, runtimeLab } from '#test/fakes/runtime-lab.ts'

let lab: RuntimeLab
beforeEach(() => {
  lab = runtimeLab()
})
const sandboxes = () => lab.runtime.sandboxes
const podWithInit = sandboxSpec({ namespaces: { network: 'pod', pid: 'pod', ipc: 'pod' } })
const portPod = (name: string) =>
  sandboxSpec({
    metadata: { name, uid: name, namespace: 'default', attempt: 0 },
    portMappings: [{ protocol: 'tcp', containerPort: 80, hostPort: 8080, hostIp: '' }],
  })

test('a sandbox that is up has its addresses, and a log directory is there', async () => {
  const id = await sandboxes().run(sandboxSpec())
  expect(sandboxes().get(id)).toMatchObject({ id, state: { phase: 'ready', ips: ['10.0.0.2'] } })
  expect([...lab.host.logDirectories]).toEqual(['/var/log/pods/web'])
})

test("a sysctl of the pod's interface is set once it is there", async () => {
  const sysctls = { 'net.core.somaxconn': '1', 'net.ipv4.conf.eth0.rp_filter': '0' }
  const id = await sandboxes().run(sandboxSpec({ sysctls }))
  expect(lab.host.lateSysctls.get(id)).toEqual({ 'net.ipv4.conf.eth0.rp_filter': '0' })
})

test('two equal requests at once make one sandbox', async () => {
  const ids = await Promise.all([sandboxes().run(sandboxSpec()), sandboxes().run(sandboxSpec())])
  expect(new Set(ids).size).toBe(1)
  expect(sandboxes().list()).toHaveLength(1)
})

test('the same request later gets the first one; after a stop it is told to ask with a higher attempt', async () => {
  const id = await sandboxes().run(sandboxSpec())
  expect(await sandboxes().run(sandboxSpec())).toBe(id)
  await sandboxes().stop(id)
  const again = sandboxes().run(sandboxSpec())
  await expect(again).rejects.toThrow(new RegExp(`it is ${id} and is stopped.*higher attempt`))
})

test('pods whose names would be the same when joined by slashes are two', async () => {
  const named = (namespace: string, name: string) =>
    sandboxSpec({ metadata: { namespace, name, uid: 'u', attempt: 0 } })
  const first = await sandboxes().run(named('a/b', 'c'))
  expect(await sandboxes().run(named('a', 'b/c'))).not.toBe(first)
})

test('a pod on the host network has no attachment and no names of its own', async () => {
  const spec = sandboxSpec({ namespaces: { network: 'node', pid: 'container', ipc: 'node' } })
  const id = await sandboxes().run(spec)
  expect(sandboxes().get(id).state).toEqual({ phase: 'ready', ips: [] })
  expect(lab.host.attachments.size).toBe(0)
})

test('a host port of another pod is refused by its name, also while that one is being made', async () => {
  const first = sandboxes().run(portPod('first'))
  await expect(sandboxes().run(portPod('second'))).rejects.toThrow(/8080\/tcp is taken by pod default\/first/)
  await sandboxes().stop(await first)
  await sandboxes().run(portPod('second'))
})

test('a host port is free again when its pod could not be made', async () => {
  lab.effects.break('network.attach')
  await expect(sandboxes().run(portPod('first'))).rejects.toThrow()
  lab.effects.heal()
  await sandboxes().run(portPod('second'))
})

test('a stop is as good the second time, and a sandbox stays known until it is removed', async () => {
  const id = await sandboxes().run(podWithInit)
  await sandboxes().stop(id)
  await sandboxes().stop(id)
  expect(sandboxes().get(id).state).toEqual({ phase: 'stopped', ips: ['10.0.0.2'] })
  expect(lab.host.left()).toEqual([`record ${id} stopped`])
  await sandboxes().remove(id)
  expect(() => sandboxes().get(id)).toThrow('not found')
  expect(lab.host.left()).toEqual([])
})

test('a sandbox whose init ends is stopped, with all that runs in it', async () => {
  const id = await sandboxes().run(podWithInit)
  const containerId = await lab.runtime.containers.create(containerSpec({ sandboxId: id }))
  await lab.runtime.containers.start(containerId)
  lab.host.exit(id, 137)
  await quiet()
  expect(sandboxes().get(id).state.phase).toBe('stopped')
  expect(lab.runtime.containers.get(containerId).state.phase).toBe('exited')
})

test('a creation under way is waited for by a stop, and one after it is refused', async () => {
  const id = await sandboxes().run(sandboxSpec())
  const creation = lab.runtime.containers.create(containerSpec({ sandboxId: id }))
  const stop = sandboxes().stop(id)
  const late = lab.runtime.containers.create(containerSpec({ sandboxId: id, name: 'late' }))
  await expect(late).rejects.toMatchObject({ kind: 'failed-precondition' })
  await stop
  expect(lab.runtime.containers.get(await creation).state.phase).toBe('exited')
})

test('a container whose undoing failed is undone with its sandbox', async () => {
  const id = await sandboxes().run(sandboxSpec())
  lab.effects.break('monitor.create')
  lab.effects.break('rootfs.remove')
  await expect(lab.runtime.containers.create(containerSpec({ sandboxId: id }))).rejects.toThrow()
  lab.effects.heal()
  await sandboxes().remove(id)
  expect(lab.host.left()).toEqual([])
})

test('a container that hangs in the kernel keeps its sandbox from being stopped, and its network is kept', async () => {
  const id = await sandboxes().run(sandboxSpec())
  await lab.runtime.containers.create(containerSpec({ sandboxId: id }))
  lab.effects.break('monitor.signal')
  await expect(sandboxes().stop(id)).rejects.toThrow()
  expect(lab.host.attachments.size).toBe(1)
  lab.effects.heal()
  await lab.runtime.retryUnfinished()
  expect(sandboxes().get(id).state.phase).toBe('stopped')
})
