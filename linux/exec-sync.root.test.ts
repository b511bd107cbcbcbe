import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ExecRequest, MonitoredContainer } from '#runtime/monitor-port.ts'
import { handlers, type MonitorLab, monitorLab } from '#test/integration/monitor-lab.ts'
import { findProcesses } from './proc.ts'

let lab: MonitorLab
const containers = new Map<string, MonitoredContainer>()
beforeAll(async () => {
  lab = monitorLab()
  for (const handler of handlers) {
    const container = await lab.create(lab.request(handler, 'sleep 600'))
    await lab.monitor().start(container.id, handler)
    containers.set(handler, container)
  }
})
afterAll(() => lab[Symbol.asyncDispose]())
const onEach = test.for(handlers)
const idOf = (handler: string): string => containers.get(handler)?.id ?? ''
const openFds = (): number => readdirSync('/proc/self/fd').length

async function exec(handler: string, args: readonly string[], more: Partial<ExecRequest> = {}) {
  const id = idOf(handler)
  const ociProcess = { ...(await lab.monitor().ociProcess(id)), args }
  const { signal } = new AbortController()
  const limits = { timeoutMs: undefined, outputLimitBytes: 1 << 20, signal }
  return await lab.monitor().exec({ id, handler, ociProcess, ...limits, ...more })
}
const shell = (handler: string, script: string, more?: Partial<ExecRequest>) =>
  exec(handler, ['/bin/sh', '-c', script], more)

/** Processes that sleep for this long, a number that nobody else has. */
const sleeping = (seconds: number): number =>
  findProcesses((argv) => argv.includes('sleep') && argv.includes(`${seconds}`)).length

onEach(
  '%s: a command has its output apart by stream, its exit code and what the container has',
  async (handler) => {
    const result = await shell(handler, 'echo out; echo err >&2; echo $HOSTNAME; exit 3')
    expect(result).toMatchObject({ exitCode: 3, timedOut: false })
    expect([`${result.stdout}`, `${result.stderr}`]).toEqual(['out\npod-host\n', 'err\n'])
  },
)

onEach('%s: a command that a signal ended has 128 and its number', async (handler) => {
  expect(await shell(handler, 'kill -TERM $$')).toMatchObject({ exitCode: 143 })
})

onEach('%s: an exit code that shells give a meaning to is kept', async (handler) => {
  for (const code of [1, 126, 127, 255]) {
    expect(await shell(handler, `exit ${code}`)).toMatchObject({ exitCode: code })
  }
})

onEach(
  '%s: output over the limit is cut, each stream by itself, and the command goes on to its end',
  async (handler) => {
    const script = 'head -c 3000000 /dev/zero | tr "\\0" x; head -c 2000 /dev/zero | tr "\\0" y >&2; exit 5'
    const { exitCode, stdout, stderr } = await shell(handler, script, { outputLimitBytes: 1_000_000 })
    expect([exitCode, stdout.length, stderr.length]).toEqual([5, 1_000_000, 2000])
  },
)

onEach('%s: a command that is not there is an error that names it', async (handler) => {
  const failure = exec(handler, ['/no/such/program'])
  await expect(failure).rejects.toMatchObject({
    kind: 'failed-precondition',
    message: expect.stringMatching(
      new RegExp(`container ${idOf(handler)}: ${handler} exec: .*no/such/program`),
    ),
  })
})

onEach(
  '%s: a command that takes too long is killed with all it started, also in sessions of their own',
  async (handler) => {
    const seconds = handler === 'runc' ? 70_001 : 70_002
    const script = `echo begun; setsid sh -c 'sleep ${seconds}' & setsid sleep ${seconds} & sleep ${seconds}`
    const run = shell(handler, script, { timeoutMs: 1_000 })
    await expect.poll(() => sleeping(seconds)).toBeGreaterThanOrEqual(3)
    const result = await run
    expect([result.timedOut, `${result.stdout}`]).toEqual([true, 'begun\n'])
    await expect.poll(() => sleeping(seconds)).toBe(0)
    expect(await lab.monitor().observe(containers.get(handler) as MonitoredContainer)).toEqual({
      seen: 'alive',
    })
  },
)

onEach('%s: a command whose caller hangs up is killed', async (handler) => {
  const seconds = handler === 'runc' ? 70_003 : 70_004
  const caller = new AbortController()
  const run = shell(handler, `setsid sleep ${seconds} & sleep ${seconds}`, { signal: caller.signal })
  await expect.poll(() => sleeping(seconds)).toBe(2)
  caller.abort()
  await run.catch(() => undefined)
  await expect.poll(() => sleeping(seconds)).toBe(0)
})

onEach(
  '%s: a command that leaves a child behind is over when it ends, and the child lives',
  async (handler) => {
    const seconds = handler === 'runc' ? 70_005 : 70_006
    const { exitCode, stdout } = await shell(handler, `setsid sleep ${seconds} >/dev/null 2>&1 & echo begun`)
    expect([exitCode, `${stdout}`]).toEqual([0, 'begun\n'])
    // The child may not have become `sleep` yet when the shell that started it has ended.
    await expect.poll(() => sleeping(seconds)).toBe(1)
    const again = await shell(handler, 'sleep 600', { timeoutMs: 300 })
    expect(again.timedOut).toBe(true)
    expect(sleeping(seconds)).toBe(1)
  },
)

onEach('%s: a child left behind that holds the output does not hold up the answer', async (handler) => {
  const seconds = handler === 'runc' ? 70_019 : 70_009
  const { exitCode, stdout, timedOut } = await shell(handler, `sleep ${seconds} & echo begun; exit 4`)
  expect([exitCode, `${stdout}`, timedOut]).toEqual([4, 'begun\n', false])
  await expect.poll(() => sleeping(seconds)).toBe(1)
  expect(await shell(handler, `sleep ${seconds} & kill -9 $$`)).toMatchObject({ exitCode: 137 })
})

onEach('%s: many at once have each their own, and leave no open file', async (handler) => {
  await shell(handler, 'true')
  const before = openFds()
  const codes = Array.from({ length: 20 }, (_, code) => code)
  const results = await Promise.all(codes.map((code) => shell(handler, `echo ${code}; exit ${code}`)))
  expect(results.map(({ exitCode }) => exitCode)).toEqual(codes)
  expect(results.map(({ stdout }) => Number(`${stdout}`))).toEqual(codes)
  await exec(handler, ['/no/such']).catch(() => undefined)
  await expect.poll(openFds).toBeLessThanOrEqual(before)
})

onEach(
  '%s: what an earlier daemon was executing is killed when the container is adopted',
  async (handler) => {
    const seconds = handler === 'runc' ? 70_007 : 70_008
    const abandoned = shell(handler, `setsid sleep ${seconds} & sleep ${seconds}`)
    const settled = shell(handler, `setsid sleep ${seconds + 100} >/dev/null 2>&1 &`)
    await expect.poll(() => sleeping(seconds)).toBe(2)
    await settled
    lab.reopen()
    await lab.monitor().adopt(idOf(handler), handler)
    await abandoned.catch(() => undefined)
    await expect.poll(() => sleeping(seconds)).toBe(0)
    expect(sleeping(seconds + 100)).toBe(1)
  },
)

onEach('%s: a command ends with its container, which is removed meanwhile', async (handler) => {
  const container = await lab.create(lab.request(handler, 'sleep 600'))
  await lab.monitor().start(container.id, handler)
  const seconds = handler === 'runc' ? 70_021 : 70_022
  const running = shell(handler, `sleep ${seconds}`, { id: container.id })
  await expect.poll(() => sleeping(seconds)).toBeGreaterThan(0)
  await lab.monitor().remove(container.id, handler)
  expect((await running).exitCode).toBeGreaterThan(128)
  expect(lab.leftOf(container.id)).toEqual([])
})

test('a runtime that cannot be executed leaves no open file', async () => {
  const handler = handlers[0] ?? 'runc'
  const request = { timeoutMs: undefined, outputLimitBytes: 1, ociProcess: {} }
  const { signal } = new AbortController()
  const run = () => lab.monitor().exec({ ...request, signal, id: idOf(handler), handler: 'missing' })
  await expect(run()).rejects.toThrow('ENOENT')
  const before = openFds()
  for (let times = 0; times < 10; times += 1) await run().catch(() => undefined)
  expect(openFds()).toBeLessThanOrEqual(before)
})

test('a container that is not there is told of', async () => {
  const { signal } = new AbortController()
  const request = { handler: 'runc', timeoutMs: undefined, outputLimitBytes: 1, ociProcess: {}, signal }
  await expect(lab.monitor().exec({ ...request, id: 'nobody' })).rejects.toMatchObject({
    kind: 'failed-precondition',
  })
})
