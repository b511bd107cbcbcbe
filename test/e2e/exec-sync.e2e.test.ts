import { readdirSync, readFileSync } from 'node:fs'
import { expect } from 'vitest'
import { testOnEach, useDaemon } from './host.ts'
import { runPod } from './pod.ts'
import { until } from './until.ts'

const daemon = useDaemon()

const exec = (id: string, script: string, timeout = 10) =>
  daemon().rpc('ExecSync', { container_id: id, cmd: ['sh', '-c', script], timeout })

testOnEach('%s: crictl exec --sync prints what the command prints', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run()
  expect((await daemon().crictl('exec', '--sync', container.id, 'echo', 'hello')).trim()).toBe('hello')
})

testOnEach('%s: both streams and the exit code are answered', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({ envs: [{ key: 'COLOUR', value: 'blue' }], working_dir: '/tmp' })
  const { stdout, stderr, exit_code } = await exec(container.id, 'echo $COLOUR $PWD; echo no >&2; exit 5')
  expect([String(stdout), String(stderr), exit_code]).toEqual(['blue /tmp\n', 'no\n', 5])
})

testOnEach(
  '%s: after the timeout all that it started is killed, also what left its session',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const container = await pod.run()
    const call = exec(container.id, 'setsid sleep 7777 & sleep 7778', 1)
    await expect(call).rejects.toMatchObject({ code: 4 })
    await until('none of them is left', () => commandLines().every((line) => !/sleep 777[78]/.test(line)))
    expect((await container.status())['state']).toBe('CONTAINER_RUNNING')
  },
)

testOnEach('%s: more output than a message holds is cut, and the exit code kept', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run()
  const { stdout, stderr, exit_code } = await exec(
    container.id,
    'head -c 20000000 /dev/zero; head -c 20000000 /dev/zero >&2; exit 6',
    60,
  )
  expect(exit_code).toBe(6)
  expect(stdout.length).toBeGreaterThan(1 << 20)
  expect(stdout.length + stderr.length).toBeLessThan(16 << 20)
})

testOnEach(
  "%s: a command that is not there fails with the shell's exit codes or an error, not a hang",
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const container = await pod.run()
    const call = daemon().rpc('ExecSync', {
      container_id: container.id,
      cmd: ['/no/such/program'],
      timeout: 10,
    })
    await expect(call).rejects.toMatchObject({ details: expect.stringContaining('/no/such/program') })
  },
)

testOnEach('%s: nothing is executed in a container that does not run', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.create()
  await expect(exec(container.id, 'true')).rejects.toMatchObject({ code: 9 })
})

testOnEach('%s: many at once are all answered', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run()
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, index) => exec(container.id, `echo ${index}`)),
  )
  expect(answers.map(({ stdout }) => Number(String(stdout)))).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
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
