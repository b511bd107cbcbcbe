import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { testOnEach, useDaemon } from './host.ts'
import { type Pod, runPod } from './pod.ts'
import { until } from './until.ts'

const daemon = useDaemon()

const COUNTS = { command: ['sh', '-c', 'i=0; while :; do echo $((i+=1)); sleep 0.02; done'] }
const linesOf = (pod: Pod): number =>
  readFileSync(join(pod.logDirectory, 'container.log'), 'utf8').split('\n').length

testOnEach(
  '%s: stop the daemon: containers run and log on, and are there again after the start',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const container = await pod.run(COUNTS)
    const [podBefore, before] = [await pod.status(), await container.status()]
    await daemon().stop()
    const lines = linesOf(pod)
    await until('it logs on', () => linesOf(pod) > lines)
    await daemon().start()
    expect(await pod.status()).toEqual(podBefore)
    expect(await container.status()).toEqual(before)
    expect(await container.exec('echo', 'here')).toBe('here')
  },
)

testOnEach(
  '%s: SIGTERM ends the daemon at once, also when its threads have just come to rest',
  async (handler) => {
    for (let round = 0; round < 5; round += 1) {
      await daemon().kill9()
      await daemon().start()
      const pod = await runPod(daemon(), handler)
      await pod.create()
      await pod[Symbol.asyncDispose]()
      await daemon().stop()
      await daemon().start()
    }
  },
)

testOnEach(
  '%s: SIGKILL the daemon: exits that happen meanwhile have their code and time',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const running = await pod.run()
    const created = await pod.create()
    const gate = mkdtempSync(join(daemon().directory, 'gate-'))
    const ends = await pod.run({
      command: ['sh', '-c', 'while [ ! -e /gate/end ]; do sleep 0.01; done; exit 9'],
      mounts: [{ host_path: gate, container_path: '/gate' }],
    })
    const { info } = await daemon().crictlJson('inspect', ends.id)
    const killed = BigInt(Date.now()) * 1_000_000n
    await daemon().kill9()
    writeFileSync(join(gate, 'end'), '')
    await until('it has ended', () => !existsSync(`/proc/${info.pid}`))
    await daemon().start()

    expect((await pod.status())['state']).toBe('SANDBOX_READY')
    expect((await running.status())['state']).toBe('CONTAINER_RUNNING')
    expect((await created.status())['state']).toBe('CONTAINER_CREATED')
    const ended = await ends.exited()
    expect(ended).toMatchObject({ exit_code: 9, reason: 'Error' })
    expect(BigInt(ended['finished_at'])).toBeGreaterThan(killed)
    await created.start()
    expect(await created.exec('echo', 'started after all')).toBe('started after all')
  },
)

testOnEach(
  '%s: a container that dies while the daemon is away with its sandbox is removed as usual',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const container = await pod.run()
    const { info } = await daemon().crictlJson('inspect', container.id)
    await daemon().kill9()
    process.kill(info.pid, 'SIGKILL')
    await daemon().start()
    expect(await container.exited()).toMatchObject({ exit_code: 137 })
  },
)

testOnEach('%s: namespace options and addresses are echoed after a restart as before', async (handler) => {
  await using host = await runPod(daemon(), handler, {
    hostname: '',
    linux: { security_context: { namespace_options: { network: 2, ipc: 2, pid: 2 } } },
  })
  await using shared = await runPod(daemon(), handler, {
    linux: { security_context: { namespace_options: { pid: 0 } } },
  })
  const before = [await host.status(), await shared.status()]
  await daemon().kill9()
  await daemon().start()
  expect([await host.status(), await shared.status()]).toEqual(before)
})

testOnEach('%s: pods are stopped and removed after a restart without a trace', async (handler) => {
  const pod = await runPod(daemon(), handler, {
    linux: { security_context: { namespace_options: { pid: 0 } } },
  })
  await pod.run()
  await pod.create()
  await daemon().kill9()
  await daemon().start()
  await pod[Symbol.asyncDispose]()
  expect((await daemon().rpc('ListContainers'))['containers']).toEqual([])
})

testOnEach('%s: a second daemon on the same directories refuses to start and says why', async () => {
  await expect(daemon().criTs('serve')).rejects.toThrow(new RegExp(`${daemon().state}|${daemon().root}`))
})
