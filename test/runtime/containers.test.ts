import { beforeEach, expect, test } from 'vitest'
import { containerSpec, noResources, sandboxSpec } from '#test/fakes/records.ts'
import { quiet, type RuntimeLab, runtimeLab } from '#test/fakes/runtime-lab.ts'

let lab: RuntimeLab
let sandboxId: string
beforeEach(async () => {
  lab = runtimeLab()
  sandboxId = await lab.runtime.sandboxes.run(sandboxSpec())
})
const containers = () => lab.runtime.containers
const spec = (over: Parameters<typeof containerSpec>[0] = {}) => containerSpec({ sandboxId, ...over })
const stateOf = (id: string) => containers().get(id).state

async function start(over: Parameters<typeof containerSpec>[0] = {}): Promise<string> {
  const id = await containers().create(spec(over))
  await containers().start(id)
  return id
}

test('a container is created, runs and has exited, with all that is known of it', async () => {
  const id = await containers().create(spec({ security: { ...spec().security, user: user('user') } }))
  expect(containers().get(id)).toMatchObject({
    logFile: '/var/log/pods/web/app.log',
    stopSignal: 'SIGTERM',
    user: { uid: 1000, gid: 1000 },
    state: { phase: 'created' },
  })
  await containers().start(id)
  expect(stateOf(id).phase).toBe('running')
  lab.host.exit(id, 3)
  await quiet()
  expect(stateOf(id)).toMatchObject({ phase: 'exited', exitCode: 3, reason: 'Error' })
  expect(lab.host.left()).toContain(`rootfs of ${id} unmounted`)
  expect(lab.host.left()).not.toContain(`cgroup of ${id}`)
})

const user = (name: string) => ({ user: name, group: undefined, supplementalGroups: [] })

test('two equal requests make one container; another one under its name is refused', async () => {
  const [first, second] = await Promise.all([containers().create(spec()), containers().create(spec())])
  expect(second).toBe(first)
  expect(await containers().create(spec())).toBe(first)
  const other = containers().create(spec({ labels: { a: 'b' } }))
  await expect(other).rejects.toMatchObject({
    kind: 'already-exists',
    message: expect.stringContaining(first),
  })
})

test("a pod's log directory that is gone is made again for the next container", async () => {
  lab.host.logDirectories.clear()
  await containers().create(spec({ logPath: 'app/0.log' }))
  expect([...lab.host.logDirectories]).toEqual(['/var/log/pods/web'])
})

test('an image that is not there is refused, and nothing is left', async () => {
  const before = lab.host.left()
  const create = containers().create(spec({ imageReference: 'missing' }))
  await expect(create).rejects.toMatchObject({ kind: 'not-found' })
  expect(lab.host.left()).toEqual(before)
})

test('a container in a sandbox that is not there or not up is refused', async () => {
  const elsewhere = containers().create(spec({ sandboxId: 'elsewhere' }))
  await expect(elsewhere).rejects.toMatchObject({ kind: 'not-found' })
  await lab.runtime.sandboxes.stop(sandboxId)
  await expect(containers().create(spec())).rejects.toMatchObject({ kind: 'failed-precondition' })
})

test('a second start is refused', async () => {
  const id = await start()
  await expect(containers().start(id)).rejects.toThrow('container is running, it cannot be started')
})

test('one that does not start is exited with StartError, and neither runs nor waits', async () => {
  const id = await containers().create(spec())
  lab.effects.break('monitor.start')
  await expect(containers().start(id)).rejects.toThrow('monitor.start was made to fail')
  expect(stateOf(id)).toMatchObject({ exitCode: 128, reason: 'StartError', startedAtNs: undefined })
  expect(lab.host.containers.get(id)).toMatchObject({ phase: 'ended', cgroup: false })
})

test('one whose start failed and cannot be killed is not said to have exited', async () => {
  const id = await containers().create(spec())
  for (const name of ['monitor.start', 'monitor.release']) lab.effects.break(name)
  await expect(containers().start(id)).rejects.toThrow('monitor.start was made to fail')
  expect(stateOf(id).phase).toBe('created')
  lab.effects.heal()
  await containers().start(id)
})

test('a stop sends the stop signal of the request, else of the image', async () => {
  const id = await start({ stopSignal: 'SIGUSR1' })
  await containers().stop(id, 60_000)
  expect(lab.host.containers.get(id)?.signals).toEqual([10])
  expect(stateOf(id)).toMatchObject({ phase: 'exited', exitCode: 138 })
  await containers().stop(id, 60_000)
})

test('one that ignores its stop signal is killed', async () => {
  lab.host.ignoredSignals.add(15)
  const id = await start()
  const stop = containers().stop(id, 60_000)
  await quiet()
  await containers().stop(id, 0)
  await stop
  expect(lab.host.containers.get(id)?.signals).toEqual([15, 9])
})

test('an exit that cannot be recorded fails the stop, and is recorded later', async () => {
  const id = await start()
  lab.effects.break('containerRecords.put')
  await expect(containers().stop(id, 1_000)).rejects.toThrow('containerRecords.put was made to fail')
  lab.effects.heal()
  await lab.runtime.retryUnfinished()
  await quiet()
  expect(stateOf(id)).toMatchObject({ phase: 'exited', exitCode: 143 })
})

test('an exit of its own that cannot be recorded is recorded later', async () => {
  const id = await start()
  lab.effects.break('monitor.observe')
  lab.host.exit(id, 0)
  await quiet()
  expect(stateOf(id).phase).toBe('running')
  lab.effects.heal()
  await lab.runtime.retryUnfinished()
  await quiet()
  expect(stateOf(id)).toMatchObject({ phase: 'exited', reason: 'Completed' })
})

test('one that was killed for memory says so, one that lost its monitor is Unknown', async () => {
  const [first, second] = [await start({ name: 'first' }), await start({ name: 'second' })]
  lab.host.exit(first, 137, true)
  lab.host.killMonitor(second)
  await quiet()
  expect(stateOf(first)).toMatchObject({ reason: 'OOMKilled' })
  expect(stateOf(second).phase).toBe('running')
  lab.host.exit(second, 0)
  await quiet()
  expect(stateOf(second)).toMatchObject({ reason: 'Unknown', exitCode: 255 })
})

test('what runs can be updated and its log reopened; what has exited cannot', async () => {
  const id = await start()
  await containers().update(id, { ...noResources, memoryLimitBytes: 5 << 20 })
  expect(containers().get(id).spec.resources.memoryLimitBytes).toBe(5 << 20)
  await containers().reopenLog(id)

  await containers().stop(id, 0)
  const refused = { kind: 'failed-precondition', message: `container ${id} is exited, not running` }
  await expect(containers().update(id, noResources)).rejects.toMatchObject(refused)
  await expect(containers().reopenLog(id)).rejects.toMatchObject(refused)
})

test('a container is removed while it runs, and one that is gone is not found', async () => {
  const id = await start()
  await containers().remove(id)
  expect(lab.host.left().filter((line) => line.includes(id))).toEqual([])
  await expect(containers().remove(id)).rejects.toMatchObject({ kind: 'not-found' })
})

test("a container joins another one's PID namespace only while that one runs", async () => {
  const target = await start()
  const namespaces = { pid: 'target', targetId: target } as const
  const joining = (name: string) =>
    containers().create(spec({ name, security: { ...spec().security, namespaces } }))
  const { pid } = lab.host.containers.get(target)?.init ?? {}
  const { ociSpec } = lab.host.containers.get(await joining('debug')) ?? {}
  expect(JSON.stringify(ociSpec)).toContain(`/proc/${pid}/ns/pid`)
  await containers().stop(target, 0)
  await expect(joining('later')).rejects.toMatchObject({ kind: 'failed-precondition' })
})

test("another pod's processes, and the host's where the pod does not have them, are out of reach", async () => {
  const { metadata } = sandboxSpec()
  const otherId = await lab.runtime.sandboxes.run(sandboxSpec({ metadata: { ...metadata, name: 'other' } }))
  const targetId = await containers().create(containerSpec({ sandboxId: otherId }))
  await containers().start(targetId)
  const joining = (namespaces: { pid: 'target' | 'node'; targetId: string }) =>
    containers().create(spec({ name: namespaces.pid, security: { ...spec().security, namespaces } }))
  await expect(joining({ pid: 'target', targetId })).rejects.toMatchObject({
    kind: 'invalid-argument',
    message: expect.stringContaining('is a container of another pod'),
  })
  await expect(joining({ pid: 'node', targetId: '' })).rejects.toMatchObject({
    kind: 'invalid-argument',
    message: expect.stringContaining("asks for the host's PID namespace"),
  })
  expect(containers().list()).toHaveLength(1)
})
