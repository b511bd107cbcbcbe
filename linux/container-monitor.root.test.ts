import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { MonitoredContainer } from '#runtime/monitor-port.ts'
import { handlers, type MonitorLab, monitorLab } from '#test/integration/monitor-lab.ts'
import { isAlive } from './proc.ts'

let lab: MonitorLab
beforeAll(() => {
  lab = monitorLab()
})
afterAll(() => lab[Symbol.asyncDispose]())

async function started(handler: string, script: string, memoryLimitBytes?: number) {
  const container = await lab.create(lab.request(handler, script, memoryLimitBytes))
  await lab.monitor().start(container.id, handler)
  return container
}

/** What is observed once the container has exited. */
async function exitOf(container: MonitoredContainer) {
  for (;;) {
    await lab.monitor().ended(container)
    const observed = await lab.monitor().observe(container)
    if (observed.seen !== 'alive' && observed.seen !== 'exiting') return observed
  }
}

const onEach = test.for(handlers)

onEach('%s: a container waits to be started, runs, and leaves its exit code and time', async (handler) => {
  const container = await lab.create(lab.request(handler, 'sleep 0.2; exit 42'))
  expect(await lab.monitor().hasStarted(container.id, handler)).toBe(false)
  expect(isAlive(container.init) && isAlive(container.monitor)).toBe(true)
  await lab.monitor().start(container.id, handler)
  expect(await lab.monitor().hasStarted(container.id, handler)).toBe(true)
  expect(await lab.monitor().observe(container)).toEqual({ seen: 'alive' })
  const exit = await exitOf(container)
  expect(exit).toMatchObject({ seen: 'exited', exitCode: 42, oomKilled: false })
  const agoMs = Date.now() - Number(exit.seen === 'exited' ? exit.atNs : 0) / 1e6
  expect(Math.abs(agoMs)).toBeLessThan(5_000)
  await lab.monitor().remove(container.id, handler)
  expect(lab.leftOf(container.id)).toEqual([])
})

onEach(
  '%s: a container has its log in the format of the CRI, whole lines F and parts of lines P',
  async (handler) => {
    const container = await started(handler, 'echo out; echo err >&2; printf part')
    await exitOf(container)
    const lines = lab.log(container).trim().split('\n').toSorted()
    const time = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{9}(Z|[+-]\\d\\d:\\d\\d)'
    const wanted = ['stderr F err', 'stdout F out', 'stdout P part']
    const texts = lines.map((line) => line.replace(new RegExp(`^${time} `), '')).toSorted()
    expect(texts.filter((text) => text !== 'stdout F ')).toEqual(wanted)
    await lab.monitor().remove(container.id, handler)
  },
)

onEach('%s: a container gets a signal, and with SIGKILL to all nothing of it lives', async (handler) => {
  const polite = await started(handler, 'trap "exit 7" TERM; echo ready; sleep 600 & wait')
  await expect.poll(() => lab.log(polite)).toContain('ready')
  expect(await lab.monitor().signal(polite, 15, false)).toBe(true)
  expect(await exitOf(polite)).toMatchObject({ exitCode: 7 })
  expect(await lab.monitor().signal(polite, 15, false)).toBe(false)

  const busy = await started(handler, 'setsid sleep 600 & wait')
  expect(await lab.monitor().signal(busy, 9, true)).toBe(true)
  expect(await exitOf(busy)).toMatchObject({ exitCode: 137, oomKilled: false })
  for (const { id } of [polite, busy]) await lab.monitor().remove(id, handler)
})

onEach('%s: a container whose init has moved to another cgroup is killed all the same', async (handler) => {
  const container = await started(handler, 'sleep 600')
  lab.moveElsewhere(container.init.pid)
  expect(await lab.monitor().signal(container, 9, true)).toBe(true)
  expect(await exitOf(container)).toMatchObject({ exitCode: 137 })
  await lab.monitor().remove(container.id, handler)
  expect(lab.leftOf(container.id)).toEqual([])
})

onEach(
  '%s: a container that runs out of memory says so, and not when it has coped with it',
  async (handler) => {
    const eat = 'x=$(head -c 100000000 /dev/zero | tr "\\0" x)'
    const killed = await started(handler, `${eat}; exit 1`, 32 << 20)
    expect(await exitOf(killed)).toMatchObject({ oomKilled: true })
    const coped = await started(
      handler,
      `sh -c 'echo 1000 > /proc/self/oom_score_adj; ${eat}'; exit 0`,
      32 << 20,
    )
    expect(await exitOf(coped)).toMatchObject({ exitCode: 0, oomKilled: false })
    for (const { id } of [killed, coped]) await lab.monitor().remove(id, handler)
    expect(existsSync('oom')).toBe(false)
  },
)

onEach('%s: a container goes on in a new log after its old one was renamed', async (handler) => {
  const script = 'echo before; while [ ! -e /tmp/$0 ]; do sleep 0.01; done; echo after'
  const request = lab.request(handler, script.replace('$0', `go-${handler}`))
  const container = await lab.create(request)
  await lab.monitor().start(container.id, handler)
  await expect.poll(() => lab.log(container)).toContain('before')
  renameSync(request.logFile, `${request.logFile}.1`)
  await lab.monitor().reopenLog(container.id, request.logFile)
  const go = { args: ['/bin/touch', `/tmp/go-${handler}`] }
  const ociProcess = { ...(await lab.monitor().ociProcess(container.id)), ...go }
  const { signal } = new AbortController()
  const exec = {
    id: container.id,
    handler,
    ociProcess,
    timeoutMs: undefined,
    outputLimitBytes: 1000,
    signal,
  }
  expect(await lab.monitor().exec(exec)).toMatchObject({ exitCode: 0 })
  await exitOf(container)
  expect(lab.log(container)).toMatch(/ stdout F after\n$/)
  expect(lab.log(container)).not.toContain('before')
  await lab.monitor().remove(container.id, handler)
})

onEach(
  '%s: a container whose monitor was killed runs on, and is gone without an exit code',
  async (handler) => {
    const container = await started(handler, 'sleep 600')
    process.kill(container.monitor.pid, 'SIGKILL')
    await expect.poll(() => isAlive(container.monitor)).toBe(false)
    expect(await lab.monitor().observe(container)).toEqual({ seen: 'alive' })
    const exit = exitOf(container)
    await lab.monitor().signal(container, 9, true)
    expect(await exit).toEqual({ seen: 'nothing' })
    await lab.monitor().remove(container.id, handler)
    expect(lab.leftOf(container.id)).toEqual([])
  },
)

onEach(
  '%s: a container is released after its exit, which is remembered, and removed without a trace, twice',
  async (handler) => {
    const container = await started(handler, 'exit 3')
    await exitOf(container)
    await lab.monitor().release(container.id, handler)
    expect(lab.leftOf(container.id).filter((path) => path.startsWith('/sys') || /^oci/.test(path))).toEqual(
      [],
    )
    expect(await lab.monitor().observe(container)).toMatchObject({ exitCode: 3 })
    await lab.monitor().remove(container.id, handler)
    await lab.monitor().remove(container.id, handler)
    expect(lab.leftOf(container.id)).toEqual([])
    expect(await lab.monitor().leftovers()).not.toContain(container.id)
  },
)

onEach('%s: a container is removed while it runs, with what left its session', async (handler) => {
  const { id } = await started(handler, 'setsid sleep 600 & setsid sleep 600')
  await lab.monitor().remove(id, handler)
  expect(lab.leftOf(id)).toEqual([])
})

onEach('%s: a container is removed while it is being created, at any time', async (handler) => {
  for (const waitMs of [0, 1, 3, 6, 10, 20, 40]) {
    const request = lab.request(handler, 'sleep 600')
    const creating = lab
      .monitor()
      .create(request)
      .catch(() => undefined)
    await new Promise((resolve) => setTimeout(resolve, waitMs))
    await lab.monitor().remove(request.id, handler)
    await creating
    expect(lab.leftOf(request.id), `removed after ${waitMs} ms`).toEqual([])
  }
})

onEach(
  '%s: a container that cannot be created is told of by what the runtime said, and leaves nothing',
  async (handler) => {
    const request = lab.request(handler, '')
    const process = { ...(request.ociSpec as { process: object }).process, args: ['/no/such/program'] }
    const create = lab.monitor().create({ ...request, ociSpec: { ...request.ociSpec, process } })
    await expect(create).rejects.toMatchObject({
      kind: 'invalid-argument',
      message: expect.stringMatching(
        new RegExp(`container ${request.id}: ${handler} create: .*no/such/program`),
      ),
    })
    await lab.monitor().remove(request.id, handler)
    expect(lab.leftOf(request.id)).toEqual([])
  },
)

onEach(
  '%s: a container of a daemon that is gone is found and removed, though its handler is not known',
  async (handler) => {
    const { id } = await started(handler, 'sleep 600')
    lab.reopen()
    expect(await lab.monitor().leftovers()).toContain(id)
    await lab.monitor().remove(id, '')
    expect(lab.leftOf(id)).toEqual([])
  },
)

onEach('%s: many containers at once are each their own', async (handler) => {
  const codes = Array.from({ length: 8 }, (_, code) => code)
  const containers = await Promise.all(codes.map((code) => started(handler, `exit ${code}`)))
  const exits = await Promise.all(containers.map(exitOf))
  expect(exits.map((exit) => (exit.seen === 'exited' ? exit.exitCode : exit.seen))).toEqual(codes)
  await Promise.all(containers.map(({ id }) => lab.monitor().remove(id, handler)))
  expect(containers.flatMap(({ id }) => lab.leftOf(id))).toEqual([])
})

test('a runtime that is not there is told of by its path', async () => {
  const request = lab.request('missing', 'true')
  await expect(lab.monitor().create(request)).rejects.toThrow('/no/such/runtime')
  await lab.monitor().remove(request.id, 'missing')
  expect(lab.leftOf(request.id)).toEqual([])
})

test('a monitor that is not there is told of by its path, and no file stays open', async () => {
  await using broken = monitorLab('/no/such/conmon')
  const request = broken.request(handlers[0] ?? 'runc', 'true')
  await expect(broken.monitor().create(request)).rejects.toThrow('/no/such/conmon: ENOENT')
  await broken.monitor().remove(request.id, request.handler)
  expect(broken.leftOf(request.id)).toEqual([])
  expect(join(broken.directory, 'oom')).not.toSatisfy(existsSync)
})
