import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import type { Message } from '#cri/client.ts'
import { testOnEach, useDaemon } from './host.ts'
import { type Container, type Fields, runPod } from './pod.ts'
import { until } from './until.ts'

const daemon = useDaemon()

const MIB = 1 << 20
const isVersion2 = existsSync('/sys/fs/cgroup/cgroup.controllers')
const HOLD = [
  'sh',
  '-c',
  'x=$(head -c 12000000 /dev/zero | tr "\\0" a); echo holding >/tmp/held; sleep 3600; :',
]

const update = ({ id }: Container, linux: Fields): Promise<Message> =>
  daemon().rpc('UpdateContainerResources', { container_id: id, linux })
const told = async (container: Container): Promise<Message> => (await container.status())['resources'].linux
const refusal = (text: string) => ({ details: expect.stringContaining(text) })

/** A file of the container's cgroup; undefined where this kernel has none. */
async function cgroupFile({ id }: Container, controller: string, file: string): Promise<string | undefined> {
  const { info } = await daemon().crictlJson('inspect', id)
  const cgroups = readFileSync(`/proc/${info.pid}/cgroup`, 'utf8')
  const own = isVersion2
    ? /^0::(.*)$/m.exec(cgroups)?.[1]
    : new RegExp(`:(?:\\w+,)*${controller}(?:,\\w+)*:(.*)`).exec(cgroups)?.[1]
  const path = join('/sys/fs/cgroup', isVersion2 ? '' : controller, own ?? '', file)
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined
}
const memoryLimit = (container: Container) =>
  cgroupFile(container, 'memory', isVersion2 ? 'memory.max' : 'memory.limit_in_bytes')
const quota = (container: Container) =>
  cgroupFile(container, 'cpu', isVersion2 ? 'cpu.max' : 'cpu.cfs_quota_us')

testOnEach('%s: each limit is in force, and told after the daemon was killed', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const resources = {
    cpu_period: 50_000,
    cpu_quota: 20_000,
    cpu_shares: 512,
    cpuset_cpus: '0',
    cpuset_mems: '0',
    memory_limit_in_bytes: 64 * MIB,
    memory_swap_limit_in_bytes: 96 * MIB,
  }
  const container = await pod.run({ linux: { resources } })
  expect(await quota(container)).toBe(isVersion2 ? '20000 50000' : '20000')
  expect(await cgroupFile(container, 'cpuset', 'cpuset.cpus')).toBe('0')
  expect(await memoryLimit(container)).toBe(`${64 * MIB}`)
  const swap = await cgroupFile(
    container,
    'memory',
    isVersion2 ? 'memory.swap.max' : 'memory.memsw.limit_in_bytes',
  )
  if (swap !== undefined) expect(swap).toBe(`${isVersion2 ? 32 * MIB : 96 * MIB}`)

  await update(container, { cpu_quota: 30_000, memory_limit_in_bytes: 80 * MIB })
  expect(await quota(container)).toBe(isVersion2 ? '30000 50000' : '30000')
  expect(await memoryLimit(container)).toBe(`${80 * MIB}`)
  await daemon().kill9()
  await daemon().start()
  expect(await told(container)).toMatchObject({
    cpu_period: '50000',
    cpu_quota: '30000',
    cpu_shares: '512',
    cpuset_cpus: '0',
    memory_limit_in_bytes: `${80 * MIB}`,
    memory_swap_limit_in_bytes: `${96 * MIB}`,
  })
})

testOnEach('%s: a CPU quota of -1 is none', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({ linux: { resources: { cpu_quota: -1, cpu_period: 50_000 } } })
  expect(await quota(container)).toBe(isVersion2 ? 'max 50000' : '-1')
  expect(await told(container)).toMatchObject({ cpu_quota: '-1' })
})

testOnEach('%s: a memory limit below the usage is refused, and the earlier one stays', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const resources = { memory_limit_in_bytes: 64 * MIB, cpu_quota: 50_000, cpu_period: 100_000 }
  const container = await pod.run({ command: HOLD, linux: { resources } })
  const held = () => container.exec('cat', '/tmp/held').then(Boolean, () => false)
  await until('it holds its memory', held, 60_000)
  await expect(
    update(container, { memory_limit_in_bytes: 8 * MIB, cpu_quota: 20_000 }),
  ).rejects.toMatchObject(refusal(`memory_limit_in_bytes is ${8 * MIB}, but it uses `))
  expect(await memoryLimit(container)).toBe(`${64 * MIB}`)
  expect((await quota(container))?.split(' ')[0]).toBe('50000')
  expect(await told(container)).toMatchObject({ memory_limit_in_bytes: `${64 * MIB}`, cpu_quota: '50000' })
  expect((await container.status())['state']).toBe('CONTAINER_RUNNING')
})

testOnEach('%s: what has exited is not updated', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({ command: ['true'] })
  await container.exited()
  await expect(update(container, { cpu_shares: 100 })).rejects.toMatchObject(refusal('exited, not running'))
})

testOnEach('%s: wrong limits are refused by name', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const wrong: readonly (readonly [Fields, string])[] = [
    [{ cpu_period: 10 }, 'linux.resources.cpu_period is 10'],
    [{ cpuset_cpus: 'x' }, 'linux.resources.cpuset_cpus is '],
    [{ memory_swap_limit_in_bytes: MIB }, 'memory_swap_limit_in_bytes'],
    [{ unified: { '../x': '1' } }, 'linux.resources.unified['],
    [{ unified: { 'memory.nothing': '1' } }, isVersion2 ? 'memory.nothing' : 'needs cgroup v2'],
  ]
  for (const [resources, message] of wrong) {
    await expect(pod.run({ linux: { resources } })).rejects.toThrow(message)
  }
})

testOnEach("%s: the pod's resources are kept, and shown by inspectp", async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const overhead = { memory_limit_in_bytes: 8 * MIB }
  const resources = { cpu_shares: 200 }
  await daemon().rpc('UpdatePodSandboxResources', { pod_sandbox_id: pod.id, overhead, resources })
  await daemon().kill9()
  await daemon().start()
  const { info } = await daemon().crictlJson('inspectp', pod.id)
  expect(info.resources).toMatchObject({
    overhead: { memoryLimitBytes: 8 * MIB },
    containers: { cpuShares: 200 },
  })
  const nothing = daemon().rpc('UpdatePodSandboxResources', { pod_sandbox_id: pod.id })
  await expect(nothing).rejects.toMatchObject(refusal('overhead and resources are missing'))
})

describe.runIf(isVersion2)('on cgroup v2', () => {
  testOnEach('%s: unified settings are in force, and changed by an update', async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const unified = { 'memory.high': `${32 * MIB}`, 'memory.min': `${4 * MIB}`, 'pids.max': '40' }
    const container = await pod.run({ linux: { resources: { unified } } })
    for (const [file, value] of Object.entries(unified)) {
      expect(await cgroupFile(container, '', file), file).toBe(value)
    }
    await update(container, { unified: { 'memory.high': `${48 * MIB}` } })
    expect(await cgroupFile(container, '', 'memory.high')).toBe(`${48 * MIB}`)
    expect(await cgroupFile(container, '', 'pids.max')).toBe('40')
    expect((await told(container))['unified']).toEqual({ ...unified, 'memory.high': `${48 * MIB}` })
  })
})
