import { beforeEach, expect, test } from 'vitest'
import { containerRecord, containerSpec, sandboxRecord, sandboxSpec } from '#test/fakes/records.ts'
import { quiet, type RuntimeLab, runtimeLab } from '#test/fakes/runtime-lab.ts'

let first: RuntimeLab
let sandboxId: string
let containerId: string
beforeEach(async () => {
  first = runtimeLab()
  const namespaces = { network: 'pod', pid: 'pod', ipc: 'pod' } as const
  sandboxId = await first.runtime.sandboxes.run(sandboxSpec({ namespaces }))
  containerId = await first.runtime.containers.create(containerSpec({ sandboxId }))
  await first.runtime.containers.start(containerId)
  first.effects.killed = true
})

async function restart(): Promise<RuntimeLab> {
  const next = first.restart()
  await next.runtime.recover()
  await quiet()
  return next
}

test('what runs goes on, its exit is seen, and execs that nobody waits for are ended', async () => {
  const container = first.host.containers.get(containerId)
  if (container !== undefined) container.execs = 2
  const { runtime, host, warnings } = await restart()
  expect(container?.execs).toBe(0)
  expect(runtime.sandboxes.get(sandboxId).state.phase).toBe('ready')
  expect(runtime.containers.get(containerId).state.phase).toBe('running')
  host.exit(containerId, 4)
  await quiet()
  expect(runtime.containers.get(containerId).state).toMatchObject({ phase: 'exited', exitCode: 4 })
  expect(warnings).toEqual([])
})

test('an exit that happened meanwhile has its code', async () => {
  first.host.exit(containerId, 5, true)
  const { runtime } = await restart()
  expect(runtime.containers.get(containerId).state).toMatchObject({ exitCode: 5, reason: 'OOMKilled' })
})

test('a pod whose init ended meanwhile is stopped', async () => {
  first.host.exit(sandboxId, 137)
  const { runtime, host } = await restart()
  expect(runtime.sandboxes.get(sandboxId).state.phase).toBe('stopped')
  expect(runtime.containers.get(containerId).state.phase).toBe('exited')
  expect(host.attachments.size).toBe(0)
})

test('after a reboot pods are stopped and containers Unknown, known until they are removed', async () => {
  first.host.reboot()
  const { runtime, host } = await restart()
  expect(runtime.sandboxes.get(sandboxId).state).toEqual({ phase: 'stopped', ips: ['10.0.0.2'] })
  expect(runtime.containers.get(containerId).state).toMatchObject({ exitCode: 255, reason: 'Unknown' })
  await runtime.sandboxes.remove(sandboxId)
  expect(host.left()).toEqual([])
})

test('what no record owns is removed', async () => {
  first.host.containerRecords.delete(containerId)
  const { host } = await restart()
  expect(host.left().filter((line) => line.includes(containerId))).toEqual([])
})

test('an attachment that no record owns is detached', async () => {
  first.host.attachments.set('nobody', ['10.0.0.99'])
  const { host } = await restart()
  expect([...host.attachments.keys()]).toEqual([sandboxId])
})

test('all that a lost record of a sandbox owned is removed, the network from the inside', async () => {
  first.host.sandboxRecords.delete(sandboxId)
  first.host.lockHolders.add(sandboxId)
  const { host, warnings } = await restart()
  expect(host.left()).toEqual([])
  expect(warnings).toEqual([])
})

test('what no record owns and cannot be removed is told of, and removed later', async () => {
  first.host.sandboxRecords.delete(sandboxId)
  const next = first.restart()
  next.effects.break('network.detach')
  await next.runtime.recover()
  expect(next.warnings).toEqual([expect.stringContaining('network.detach was made to fail')])
  expect(next.host.left()).toContain(`attachment of ${sandboxId}`)
  next.effects.heal()
  await next.runtime.retryUnfinished()
  expect(next.host.left()).toEqual([])
})

test('a container without its sandbox is removed', async () => {
  first.host.sandboxRecords.delete(sandboxId)
  const { host } = await restart()
  expect(host.left().filter((line) => line.includes(containerId))).toEqual([])
})

test('one that cannot be brought up to date keeps no other from it, and is told of', async () => {
  const stuck = sandboxRecord('stuck', { state: { phase: 'creating' } })
  first.host.sandboxRecords.set('stuck', JSON.stringify(stuck))
  const gone = containerRecord('gone', { spec: containerSpec({ sandboxId: 'stuck' }) })
  first.host.containerRecords.set('gone', JSON.stringify(gone))
  const next = first.restart()
  next.effects.break('network.detach')
  await next.runtime.recover()
  await quiet()
  expect(next.warnings).toEqual([expect.stringContaining('network.detach was made to fail')])
  expect(next.runtime.sandboxes.list().map(({ id }) => id)).toEqual([sandboxId])
  expect(next.runtime.containers.get(containerId).state.phase).toBe('running')
  next.effects.heal()
  await next.runtime.retryUnfinished()
  expect(next.host.left().filter((line) => line.includes('stuck'))).toEqual([])
})

test('a container that could not be looked at is looked at later', async () => {
  const next = first.restart()
  next.effects.break('monitor.adopt')
  await next.runtime.recover()
  next.effects.heal()
  await next.runtime.retryUnfinished()
  next.host.exit(containerId, 6)
  await quiet()
  expect(next.runtime.containers.get(containerId).state).toMatchObject({ exitCode: 6 })
})

test('a recovery that is tried again leaves the execs of this daemon alone', async () => {
  const next = first.restart()
  next.effects.break('monitor.observe')
  await next.runtime.recover()
  const container = next.host.containers.get(containerId)
  if (container !== undefined) container.execs = 1
  next.effects.heal()
  await next.runtime.retryUnfinished()
  expect(container?.execs).toBe(1)
})

test('what is created while others are brought up to date is left alone, whenever that begins', async () => {
  const next = { name: 'next', uid: 'uid-2', namespace: 'default', attempt: 0 }
  for (let turns = 0; turns < 60; turns += 1) {
    const lab = runtimeLab()
    const { sandboxes, containers } = lab.runtime
    const stuck = await sandboxes.run(sandboxSpec())
    const inIt = await containers.create(containerSpec({ sandboxId: stuck }))
    lab.effects.break('monitor.signal')
    await expect(sandboxes.stop(stuck)).rejects.toThrow()
    lab.effects.heal()
    const creation = sandboxes.run(sandboxSpec({ metadata: next }))
    for (let turn = 0; turn < turns; turn += 1) await Promise.resolve()
    await lab.runtime.retryUnfinished()
    const made = await creation
    expect(sandboxes.get(made).state.phase, `${turns} turns`).toBe('ready')
    expect(sandboxes.get(stuck).state.phase).toBe('stopped')
    expect(containers.get(inIt).state.phase).toBe('exited')
    expect(lab.warnings).toEqual([])
  }
})
