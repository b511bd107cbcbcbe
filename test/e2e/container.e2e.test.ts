import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { memoryCgroup } from './cgroup-driver.ts'
import { testOnEach, useDaemon } from './host.ts'
import { runPod } from './pod.ts'
import { until } from './until.ts'

const daemon = useDaemon()

const shell = (script: string) => ({ command: ['sh', '-c', script] })

testOnEach('%s: a container is created, started, listed, stopped and removed', async (handler) => {
  const { crictl, crictlJson } = daemon()
  await using pod = await runPod(daemon(), handler)
  const container = await pod.create({ labels: { tier: 'web' }, annotations: { note: 'kept' } })
  expect(await container.status()).toMatchObject({
    state: 'CONTAINER_CREATED',
    labels: { tier: 'web' },
    annotations: { note: 'kept' },
  })
  await container.start()
  const { containers } = await crictlJson('ps', '--pod', pod.id, '-o', 'json')
  expect(containers).toMatchObject([{ id: container.id, podSandboxId: pod.id, state: 'CONTAINER_RUNNING' }])

  await crictl('stop', '--timeout', '0', container.id)
  await crictl('stop', container.id)
  const ended = await container.status()
  expect(ended).toMatchObject({ state: 'CONTAINER_EXITED', exit_code: 137, reason: 'Error' })
  const times = ['created_at', 'started_at', 'finished_at'].map((field) => BigInt(ended[field]))
  expect(times.every((time, index) => time > (times[index - 1] ?? 0n))).toBe(true)

  await crictl('rm', container.id)
  await daemon().rpc('RemoveContainer', { container_id: container.id })
  await expect(container.status()).rejects.toMatchObject({ code: 5 })
})

testOnEach('%s: RemoveContainer ends a running one', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run()
  await daemon().rpc('RemoveContainer', { container_id: container.id })
  expect((await daemon().rpc('ListContainers'))['containers']).toEqual([])
})

testOnEach('%s: an exit has its code, and the reason Completed or Error', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  expect(await (await pod.run(shell('exit 0'))).exited()).toMatchObject({ exit_code: 0, reason: 'Completed' })
  expect(await (await pod.run(shell('exit 3'))).exited()).toMatchObject({ exit_code: 3, reason: 'Error' })
})

testOnEach(
  '%s: a container that the kernel kills for its memory has the reason OOMKilled',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const container = await pod.run({
      ...shell('x=a; while :; do x=$x$x; done'),
      linux: { resources: { memory_limit_in_bytes: 16 << 20 } },
    })
    expect(await container.exited()).toMatchObject({ exit_code: 137, reason: 'OOMKilled' })
  },
)

testOnEach('%s: command, arguments, environment and working directory are as asked for', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({
    command: ['sh', '-c', 'echo "$0 $1 $COLOUR $PWD"'],
    args: ['one', 'two'],
    envs: [{ key: 'COLOUR', value: 'blue=green' }],
    working_dir: '/made/here',
  })
  await container.exited()
  expect(await daemon().crictl('logs', container.id)).toBe('one two blue=green /made/here\n')
})

testOnEach('%s: host paths are mounted, read-only where asked, and made where missing', async (handler) => {
  const host = join(daemon().directory, 'volumes')
  mkdirSync(join(host, 'data'), { recursive: true })
  writeFileSync(join(host, 'data/file'), 'from the host')
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({
    mounts: [
      { host_path: join(host, 'data'), container_path: '/data' },
      { host_path: join(host, 'data'), container_path: '/fixed', readonly: true },
      { host_path: join(host, 'missing'), container_path: '/missing' },
    ],
  })
  expect(await container.exec('cat', '/data/file')).toBe('from the host')
  await container.exec('touch', '/data/new', '/missing/new')
  expect(existsSync(join(host, 'data/new')) && existsSync(join(host, 'missing/new'))).toBe(true)
  await expect(container.exec('touch', '/fixed/new')).rejects.toThrow(/Read-only/)
  expect((await container.status())['mounts']).toMatchObject([
    { container_path: '/data', host_path: join(host, 'data'), readonly: false },
    { container_path: '/fixed', readonly: true },
    { container_path: '/missing' },
  ])
})

testOnEach(
  '%s: a Bidirectional mount carries mounts out to the host, a private one does not',
  async (handler) => {
    const host = join(daemon().directory, 'propagated')
    mkdirSync(join(host, 'inner'), { recursive: true })
    const privileged = { linux: { security_context: { privileged: true } } }
    await using pod = await runPod(daemon(), handler, privileged)
    const mounted = () => readFileSync('/proc/self/mountinfo', 'utf8').includes(join(host, 'inner'))
    const withMount = (propagation: number) =>
      pod.run({ mounts: [{ host_path: host, container_path: '/host', propagation }], ...privileged })

    await (await withMount(0)).exec('mount', '-t', 'tmpfs', 'none', '/host/inner')
    expect(mounted()).toBe(false)
    const bidirectional = await withMount(2)
    await bidirectional.exec('mount', '-t', 'tmpfs', 'none', '/host/inner')
    expect(mounted()).toBe(true)
    await bidirectional.exec('umount', '/host/inner')
    expect(mounted()).toBe(false)
    rmSync(host, { recursive: true })
  },
)

testOnEach('%s: limits are in force, told, and changed by UpdateContainerResources', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({
    linux: {
      resources: { cpu_period: 100_000, cpu_quota: 50_000, cpu_shares: 512, memory_limit_in_bytes: 64 << 20 },
    },
  })
  const limits = async () => (await container.status())['resources'].linux
  expect(await limits()).toMatchObject({ cpu_quota: '50000', memory_limit_in_bytes: `${64 << 20}` })
  expect(await memoryLimit(container.id)).toBe(`${64 << 20}`)

  await daemon().crictl('update', '--memory', `${32 << 20}`, '--cpu-quota', '20000', container.id)
  expect(await limits()).toMatchObject({ cpu_quota: '20000', memory_limit_in_bytes: `${32 << 20}` })
  expect(await memoryLimit(container.id)).toBe(`${32 << 20}`)
})

async function memoryLimit(containerId: string): Promise<string> {
  const { info } = await daemon().crictlJson('inspect', containerId)
  const { directory, version } = memoryCgroup(info.pid)
  const file = version === 1 ? 'memory.limit_in_bytes' : 'memory.max'
  return readFileSync(join(directory, file), 'utf8').trim()
}

testOnEach('%s: a container with a terminal has one', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({ ...shell('tty; stty size'), tty: true })
  await container.exited()
  expect(await daemon().crictl('logs', container.id)).toContain('/dev/pts/0')
})

testOnEach('%s: stdin stays open when asked for, and is empty when not', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const without = await pod.run({ command: ['cat'] })
  expect(await without.exited()).toMatchObject({ exit_code: 0 })
  const withStdin = await pod.run({ command: ['cat'], stdin: true })
  await withStdin.exec('true')
  expect((await withStdin.status())['state']).toBe('CONTAINER_RUNNING')
})

const IGNORES_TERM = shell("trap '' TERM; echo ready; while :; do sleep 1; done")

testOnEach('%s: a container that heeds SIGTERM ends within its grace period', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run(shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done"))
  await until('the trap is set', async () => (await daemon().crictl('logs', container.id)).includes('ready'))
  await daemon().crictl('stop', '--timeout', '20', container.id)
  expect(await container.status()).toMatchObject({ exit_code: 7 })
})

testOnEach(
  '%s: one that ignores it is killed after the grace period, which a second call shortens',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const container = await pod.run(IGNORES_TERM)
    await until('the trap is set', async () =>
      (await daemon().crictl('logs', container.id)).includes('ready'),
    )
    const begin = performance.now()
    const long = daemon().rpc('StopContainer', { container_id: container.id, timeout: 100 })
    await daemon().rpc('StopContainer', { container_id: container.id, timeout: 1 })
    await long
    const took = performance.now() - begin
    expect(took).toBeGreaterThan(900)
    expect(took).toBeLessThan(10_000)
    expect(await container.status()).toMatchObject({ exit_code: 137 })
  },
)

testOnEach('%s: a command that is not in the image is an error that says so', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const attempt = (async () => (await pod.create({ command: ['/no/such/program'] })).start())()
  await expect(attempt).rejects.toThrow(/no\/such\/program/)
})
