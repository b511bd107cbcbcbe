import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import type { Message } from '#cri/client.ts'
import { buildImage } from '#test/fixtures/image.ts'
import { dockerArchive } from '#test/fixtures/image-archive.ts'
import { memoryCgroup } from './cgroup-driver.ts'
import { testOnEach, useDaemon } from './host.ts'
import { type Container, type Fields, podsCgroup, runPod } from './pod.ts'
import { until } from './until.ts'

const daemon = useDaemon()

const MIB = 1 << 20
/** 12 MB in a variable of the shell. */
const HOLD = [
  'sh',
  '-c',
  'x=$(head -c 12000000 /dev/zero | tr "\\0" a); echo holding >/tmp/held; sleep 3600; :',
]

const statsOf = async ({ id }: Container): Promise<Message> =>
  (await daemon().rpc('ContainerStats', { container_id: id }))['stats']
const podStats = async (id: string): Promise<Message> =>
  (await daemon().rpc('PodSandboxStats', { pod_sandbox_id: id }))['stats']
const list = async (filter?: Fields): Promise<string[]> =>
  (await daemon().rpc('ListContainerStats', { filter }))['stats'].map(
    (each: Message) => each['attributes'].id,
  )
const number = (value: Message | null): number => Number(value?.['value'] ?? Number.NaN)
const pidOf = async ({ id }: Container): Promise<number> =>
  (await daemon().crictlJson('inspect', id)).info.pid

/** A tenth of the usual speed is enough. */
const holding = (container: Container): Promise<void> =>
  until('it holds its memory', () => container.exec('cat', '/tmp/held').then(Boolean, () => false), 60_000)

/** Of a pod with a cgroup of its own, as kubelet makes one. */
const ownCgroup = (name: string): Fields => ({ linux: { cgroup_parent: parentOf(name) } })
const parentOf = (name: string): string => {
  const parent = podsCgroup(daemon())
  return parent.endsWith('.slice') ? parent.replace(/\.slice$/, `-${name}.slice`) : `${parent}/${name}`
}

testOnEach('%s: the CPU time and the rate are those of the cgroup', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({ command: ['sh', '-c', 'while :; do :; done'] })
  const usedNs = cpuTimeNs(await pidOf(container))
  const before = usedNs()
  const { cpu: first } = await statsOf(container)
  expect(number(first.usage_core_nano_seconds)).toBeGreaterThanOrEqual(before)
  expect(number(first.usage_core_nano_seconds)).toBeLessThanOrEqual(usedNs())
  expect(first.usage_nano_cores).toBeNull()

  let cpu = first
  await until('there is a second sample', async () => {
    cpu = (await statsOf(container))['cpu']
    return cpu.usage_nano_cores !== null
  })
  const tookNs = Number(BigInt(cpu.timestamp) - BigInt(first.timestamp))
  const gained = number(cpu.usage_core_nano_seconds) - number(first.usage_core_nano_seconds)
  expect(tookNs).toBeGreaterThanOrEqual(1e9)
  expect(gained).toBeGreaterThan(0)
  expect(number(cpu.usage_nano_cores)).toBeCloseTo((gained / tookNs) * 1e9, -3)
})

testOnEach('%s: the memory is that of the cgroup, and what is left of its limit', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const resources = { memory_limit_in_bytes: 128 * MIB }
  const container = await pod.run({ command: HOLD, linux: { resources } })
  await holding(container)
  const { memory, swap, io, cpu } = await statsOf(container)
  const { version } = memoryCgroup(await pidOf(container))
  expect(number(memory.rss_bytes)).toBeGreaterThan(12_000_000)
  expect(number(memory.usage_bytes)).toBeGreaterThanOrEqual(number(memory.working_set_bytes))
  expect(number(memory.working_set_bytes)).toBeGreaterThanOrEqual(number(memory.rss_bytes))
  expect(number(memory.available_bytes) + number(memory.working_set_bytes)).toBe(128 * MIB)
  expect(number(memory.page_faults)).toBeGreaterThan(2_000)
  expect(number(memory.major_page_faults)).toBeGreaterThanOrEqual(0)
  if (swap !== null) expect(number(swap.swap_usage_bytes)).toBe(0)
  const hasPressure = version === 2 && existsSync('/proc/pressure/cpu')
  for (const { psi } of [cpu, memory, io ?? { psi: null }]) {
    if (hasPressure) expect(psi.Some).toMatchObject({ Total: expect.stringMatching(/^\d+$/) })
    else expect(psi).toBeNull()
  }
})

testOnEach('%s: what a container writes into its root file system shows', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run()
  await container.exec('dd', 'if=/dev/zero', 'of=/written', 'bs=1M', 'count=5')
  const written = async (): Promise<Message | null> => (await statsOf(container))['writable_layer']
  await until('it was measured', async () => (await written()) !== null, 30_000)
  expect(await written()).toMatchObject({ fs_id: { mountpoint: daemon().root } })
  expect(number((await written())?.['used_bytes'])).toBeGreaterThanOrEqual(5 * MIB)
  expect(number((await written())?.['inodes_used'])).toBeGreaterThanOrEqual(2)
})

testOnEach('%s: a pod has the usage of its cgroup, its network and its containers', async (handler) => {
  const own = `own${handler}`
  using _removed = { [Symbol.dispose]: () => removeSlice(parentOf(own)) }
  await using pod = await runPod(daemon(), handler, ownCgroup(own))
  const [first, second] = [await pod.run(), await pod.run()]
  await first.exec('ping', '-c', '3', '-W', '1', '10.211.77.1')
  // The kernel counts a process for a while after its end.
  const tasks = async () => number((await podStats(pod.id))['linux'].process.process_count)
  await until('the pod has its init and two processes', async () => (await tasks()) === 3)
  const { attributes, linux } = await podStats(pod.id)
  expect(attributes).toMatchObject({ id: pod.id, metadata: pod.config['metadata'], labels: { app: 'e2e' } })
  expect(linux.containers.map((each: Message) => each['attributes'].id).sort()).toEqual(
    [first.id, second.id].sort(),
  )
  const sum = (field: string, name: string): number =>
    linux.containers.reduce((total: number, each: Message) => total + number(each[field][name]), 0)
  // The pod's is read after its containers', and keeps what has ended.
  expect(number(linux.cpu.usage_core_nano_seconds)).toBeGreaterThanOrEqual(
    sum('cpu', 'usage_core_nano_seconds'),
  )
  expect(number(linux.memory.usage_bytes)).toBeGreaterThan(0)
  const { name, rx_bytes: received, tx_bytes: sent } = linux.network.default_interface
  expect(name).toBe('eth0')
  expect([number(received), number(sent)].every((bytes) => bytes >= 3 * 98)).toBe(true)
})

testOnEach('%s: stats are listed by id, pod and labels, also as a stream', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  await using other = await runPod(daemon(), handler)
  const [a, b] = [
    await pod.run({ labels: { tier: 'front' } }),
    await pod.create({ labels: { tier: 'back' } }),
  ]
  const c = await other.run({ labels: { tier: 'front' } })
  expect((await list()).toSorted()).toEqual([a.id, b.id, c.id].toSorted())
  expect(await list({ id: a.id.slice(0, 20) })).toEqual([a.id])
  expect((await list({ pod_sandbox_id: pod.id })).toSorted()).toEqual([a.id, b.id].toSorted())
  expect(await list({ pod_sandbox_id: pod.id, label_selector: { tier: 'front' } })).toEqual([a.id])
  const streamed = await daemon().rpcs('StreamContainerStats', { filter: { id: c.id } })
  expect(streamed.flatMap((each) => each['container_stats']).map((each) => each.attributes.id)).toEqual([
    c.id,
  ])

  const pods = await daemon().rpc('ListPodSandboxStats', { filter: { id: other.id } })
  expect(pods['stats'].map((each: Message) => each['attributes'].id)).toEqual([other.id])
  const streamedPods = await daemon().rpcs('StreamPodSandboxStats', {})
  expect(streamedPods.flatMap((each) => each['pod_sandbox_stats'])).toHaveLength(2)
  await daemon().rpc('StopPodSandbox', { pod_sandbox_id: other.id })
  expect((await daemon().rpc('ListPodSandboxStats'))['stats']).toHaveLength(1)
  await expect(podStats(other.id)).rejects.toMatchObject({ details: expect.stringContaining('not ready') })
})

testOnEach('%s: crictl stats and statsp show them', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({ command: HOLD })
  await holding(container)
  const { name } = container.config['metadata'] as Message
  const lineOf = (text: string, word: string): string =>
    text.split('\n').find((line) => line.includes(word)) ?? `no ${word} in ${text}`
  expect(lineOf(await daemon().crictl('stats', container.id), name)).toMatch(/\d+\.\d+\s+1\d(\.\d+)?MB/)
  const { name: podName } = pod.config['metadata'] as Message
  expect(lineOf(await daemon().crictl('statsp', '--id', pod.id), podName)).toMatch(/\d+\.\d+\s+1\d(\.\d+)?MB/)
})

test('ImageFsInfo follows pulls and removals', async () => {
  const used = async (): Promise<number> =>
    number((await daemon().rpc('ImageFsInfo'))['image_filesystems'][0].used_bytes)
  const content = Buffer.alloc(3 * MIB, 'x')
  const archive = join(daemon().directory, 'big.tar')
  const image = buildImage({ layers: [[{ name: 'big', content }]], config: { Cmd: ['x'] } })
  writeFileSync(archive, dockerArchive(image, ['localhost/big:latest']))
  const before = await used()
  await daemon().criTs('images', 'import', archive)
  expect((await used()) - before).toBeGreaterThanOrEqual(3 * MIB)
  await daemon().rpc('RemoveImage', { image: { image: 'localhost/big:latest' } })
  await until('its space is given back', async () => (await used()) === before)
})

/** A pod's slice is whose who has asked for it: kubelet's else. */
function removeSlice(parent: string): void {
  if (parent.endsWith('.slice')) execFileSync('systemctl', ['stop', basename(parent)])
}

/** By the files of the process's own cgroup. */
function cpuTimeNs(pid: number): () => number {
  const cgroups = readFileSync(`/proc/${pid}/cgroup`, 'utf8')
  const legacy = /:(?:cpu,)?cpuacct(?:,cpu)?:(.*)/.exec(cgroups)?.[1]
  if (legacy !== undefined) {
    return () => Number(readFileSync(`/sys/fs/cgroup/cpuacct${legacy}/cpuacct.usage`, 'utf8'))
  }
  const file = `/sys/fs/cgroup${/^0::(.*)$/m.exec(cgroups)?.[1]}/cpu.stat`
  return () => Number(/usage_usec (\d+)/.exec(readFileSync(file, 'utf8'))?.[1]) * 1000
}
