import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { testOnEach, useDaemon } from '#test/e2e/host.ts'
import { type Container, podsCgroup, runPod } from '#test/e2e/pod.ts'
import { until } from '#test/e2e/until.ts'

/** What systemd itself makes of the containers whose scopes it holds. */
const daemon = useDaemon()

const systemctl = (...args: readonly string[]): string =>
  execFileSync('systemctl', args, { encoding: 'utf8' }).trim()

const scopeOf = ({ id }: Container): string => `cri-ts-${id}.scope`
const memoryMax = (container: Container): string =>
  readFileSync(join('/sys/fs/cgroup', podsCgroup(daemon()), scopeOf(container), 'memory.max'), 'utf8').trim()

testOnEach('%s: limits outlast that systemd reads its units again', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({ linux: { resources: { memory_limit_in_bytes: 64 << 20 } } })
  systemctl('daemon-reload')
  expect(memoryMax(container)).toBe(`${64 << 20}`)
  await daemon().crictl('update', '--memory', `${32 << 20}`, container.id)
  systemctl('daemon-reload')
  expect(memoryMax(container)).toBe(`${32 << 20}`)
  expect(systemctl('show', '--property=MemoryMax', '--value', scopeOf(container))).toBe(`${32 << 20}`)
})

testOnEach('%s: no scope is left, however a container ends', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const [stopped, failed, forced] = [await pod.run(), await pod.run({ command: ['false'] }), await pod.run()]
  await failed.exited()
  await daemon().crictl('stop', '--timeout', '0', stopped.id)
  await daemon().rpc('RemoveContainer', { container_id: forced.id })
  const scopes = (): string =>
    systemctl('list-units', '--all', '--plain', '--no-legend', '--full', 'cri-ts-*')
  await until('the scopes are gone', () =>
    [stopped, failed, forced].every((container) => !scopes().includes(scopeOf(container))),
  )
})

testOnEach('%s: a scope that systemd is told to stop ends its container', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({
    command: ['sh', '-c', "trap 'exit 3' TERM; while :; do sleep 0.1; done"],
  })
  await container.exec('true')
  systemctl('stop', scopeOf(container))
  await container.exited()
  expect(existsSync(join('/sys/fs/cgroup', podsCgroup(daemon()), scopeOf(container)))).toBe(false)
})
