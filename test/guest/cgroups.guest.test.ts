import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cgroupDriver } from '#test/e2e/cgroup-driver.ts'
import { testOnEach, useDaemon } from '#test/e2e/host.ts'
import { type Container, POD, podsCgroup, runPod } from '#test/e2e/pod.ts'
import { until } from '#test/e2e/until.ts'

/** On cgroup v2, with the driver that hack/e2e-guest names. */
const daemon = useDaemon()

const CGROUPS = '/sys/fs/cgroup'
const isSystemd = cgroupDriver === 'systemd'
const RESOURCES = {
  cpu_period: 100_000,
  cpu_quota: 50_000,
  cpu_shares: 512,
  cpuset_cpus: '0',
  cpuset_mems: '0',
  memory_limit_in_bytes: 64 << 20,
  unified: { 'pids.max': '40' },
}

/** Where its limits stand: the scope, or the directory that the cgroupfs driver makes. */
const cgroupOf = ({ id }: Container): string =>
  join(CGROUPS, podsCgroup(daemon()), isSystemd ? `cri-ts-${id}.scope` : id)

const limit = (container: Container, file: string): string =>
  readFileSync(join(cgroupOf(container), file), 'utf8').trim()

const pidOf = async ({ id }: Container): Promise<number> =>
  (await daemon().crictlJson('inspect', id)).info.pid

test('RuntimeConfig tells kubelet the cgroup driver', async () => {
  expect(await daemon().crictl('runtime-config')).toContain(cgroupDriver.toUpperCase())
})

testOnEach(
  "%s: a container runs in the pod's cgroup with its limits, which can be changed",
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const container = await pod.run({ linux: { resources: RESOURCES } })
    const own = readFileSync(`/proc/${await pidOf(container)}/cgroup`, 'utf8').trim()
    expect(`${CGROUPS}${own.replace('0::', '')}/`).toContain(`${cgroupOf(container)}/`)
    expect(limit(container, 'memory.max')).toBe(`${64 << 20}`)
    expect(limit(container, 'cpu.max')).toBe('50000 100000')
    expect(limit(container, 'cpuset.cpus')).toBe('0')
    expect(limit(container, 'pids.max')).toBe('40')
    const weight = Number(limit(container, 'cpu.weight'))
    expect(weight).toBeGreaterThan(1)
    expect(weight).toBeLessThan(100) // 1024 shares are 100.

    await daemon().crictl(
      'update',
      '--memory',
      `${32 << 20}`,
      '--cpu-quota',
      '20000',
      '--cpu-share',
      '1024',
      container.id,
    )
    expect(limit(container, 'memory.max')).toBe(`${32 << 20}`)
    expect(limit(container, 'cpu.max')).toBe('20000 100000')
    expect(Number(limit(container, 'cpu.weight'))).toBeGreaterThan(weight)
    expect(limit(container, 'pids.max')).toBe('40')
  },
)

testOnEach(
  '%s: a container that the kernel kills for its memory has the reason OOMKilled',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const container = await pod.run({
      command: ['sh', '-c', 'x=a; while :; do x=$x$x; done'],
      linux: { resources: { memory_limit_in_bytes: 16 << 20 } },
    })
    expect(await container.exited()).toMatchObject({ exit_code: 137, reason: 'OOMKilled' })
  },
)

testOnEach(
  '%s: after the timeout of an exec all that it started is killed, and the next one runs',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const container = await pod.run()
    const cmd = ['sh', '-c', 'setsid sleep 7777 & sleep 7778']
    const call = daemon().rpc('ExecSync', { container_id: container.id, cmd, timeout: 2 })
    await until('it runs', () => commandLines().filter((line) => /sleep 777[78]/.test(line)).length >= 2)
    await expect(call).rejects.toMatchObject({ code: 4 })
    await until('none of them is left', () => commandLines().every((line) => !/sleep 777[78]/.test(line)))
    expect((await container.status())['state']).toBe('CONTAINER_RUNNING')
    expect(await container.exec('echo', 'again')).toBe('again')
  },
)

testOnEach('%s: many execs at once are all answered', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({ linux: { resources: RESOURCES } })
  const answers = await Promise.all(['0', '1', '2', '3'].map((word) => container.exec('echo', word)))
  expect(answers).toEqual(['0', '1', '2', '3'])
})

testOnEach('%s: a SIGKILL of the daemon costs nothing but the execs under way', async (handler) => {
  await using pod = await runPod(daemon(), handler, {
    linux: { cgroup_parent: podsCgroup(daemon()), security_context: { namespace_options: { pid: POD } } },
  })
  const container = await pod.run({ linux: { resources: RESOURCES } })
  const cmd = ['sh', '-c', 'setsid sleep 7779 & sleep 7779']
  const call = daemon().rpc('ExecSync', { container_id: container.id, cmd })
  await until('it runs', () => commandLines().filter((line) => /sleep 7779/.test(line)).length >= 2)
  const before = [await pod.status(), await container.status()]
  const lost = expect(call).rejects.toThrow()
  await daemon().kill9()
  await lost
  await daemon().start()
  expect([await pod.status(), await container.status()]).toEqual(before)
  expect(commandLines().filter((line) => /sleep 7779/.test(line))).toEqual([])
  expect(await container.exec('echo', 'here')).toBe('here')
  expect(limit(container, 'memory.max')).toBe(`${64 << 20}`)
})

testOnEach('%s: containers leave neither scope nor cgroup, however they end', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const [stopped, failed, forced] = [await pod.run(), await pod.run({ command: ['false'] }), await pod.run()]
  await failed.exited()
  await daemon().crictl('stop', '--timeout', '0', stopped.id)
  const gone = (container: Container) => until('its cgroup goes', () => !existsSync(cgroupOf(container)))
  await Promise.all([stopped, failed].map(gone))
  await daemon().rpc('RemoveContainer', { container_id: forced.id })
  expect(existsSync(cgroupOf(forced))).toBe(false)
})

testOnEach('%s: a privileged container may divide its cgroup and still be entered', async (handler) => {
  await using pod = await runPod(daemon(), handler, {
    linux: { cgroup_parent: podsCgroup(daemon()), security_context: { privileged: true } },
  })
  const container = await pod.run({ linux: { security_context: { privileged: true } } })
  const script = [
    'mkdir -p /sys/fs/cgroup/init',
    'for pid in $(cat /sys/fs/cgroup/cgroup.procs); do echo $pid >/sys/fs/cgroup/init/cgroup.procs; done',
    'echo +memory >/sys/fs/cgroup/cgroup.subtree_control',
  ].join('; ')
  await container.exec('sh', '-c', script)
  expect(await container.exec('echo', 'in')).toBe('in')
})

const commandLines = (): readonly string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      } catch {
        return '' // It has ended meanwhile.
      }
    })
