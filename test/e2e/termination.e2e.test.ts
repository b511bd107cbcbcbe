import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect } from 'vitest'
import { busyboxImage } from '#test/fixtures/busybox-image.ts'
import { dockerArchive } from '#test/fixtures/image-archive.ts'
import { testOnEach, useDaemon } from './host.ts'
import { type Container, type Pod, runPod } from './pod.ts'
import { until } from './until.ts'

const DEADLINE_EXCEEDED = 4

/** By the image's name, what its configuration says. */
const IMAGES = { usr1: 'SIGUSR1', number: '12', 'real-time': 'RTMIN+3', wrong: 'SIGNONE' } as const
const daemon = useDaemon()

beforeAll(async () => {
  for (const [name, StopSignal] of Object.entries(IMAGES)) {
    const archive = join(daemon().directory, `${name}.tar`)
    const config = { Cmd: ['sh'], Env: ['PATH=/bin'], StopSignal }
    writeFileSync(archive, dockerArchive(busyboxImage({ config }), [imageOf(name)]))
    await daemon().criTs('images', 'import', archive)
  }
})

const imageOf = (name: string): string => `localhost/e2e/stop-${name}:1`

/** Logs its own name for every signal that it gets, and ends at the first. RTMIN+3 is 37, as the kernel counts. */
const NAMES = { 10: 'USR1', 12: 'USR2', 15: 'TERM', 37: 'RTMIN+3', 3: 'QUIT' }
const TELLS = [
  ...Object.entries(NAMES).map(([number, name]) => `trap 'echo got ${name}; exit ${number}' ${number}`),
  'echo ready',
  'while :; do sleep 0.05; done',
].join('; ')

const logOf = ({ logDirectory }: Pod): string => {
  const lines = readFileSync(join(logDirectory, 'container.log'), 'utf8').trimEnd().split('\n')
  return lines.map((line) => line.split(' ').slice(3).join(' ')).join('; ')
}

async function runTelling(pod: Pod, fields: object): Promise<Container> {
  const container = await pod.run({ command: ['sh', '-c', TELLS], ...fields })
  await until('it is ready for signals', () => logOf(pod) === 'ready')
  return container
}

/** SIGNAL_SIGQUIT, which crictl takes as a number. */
const SIGQUIT = 18

const CASES = [
  { image: 'usr1', config: 0, signal: 'SIGNAL_SIGUSR1', exitCode: 10, got: 'USR1' },
  { image: 'number', config: 0, signal: 'SIGNAL_SIGUSR2', exitCode: 12, got: 'USR2' },
  { image: 'real-time', config: 0, signal: 'SIGNAL_SIGRTMINPLUS3', exitCode: 37, got: 'RTMIN+3' },
  { image: 'wrong', config: 0, signal: 'SIGNAL_SIGTERM', exitCode: 15, got: 'TERM' },
  { image: 'usr1', config: SIGQUIT, signal: 'SIGNAL_SIGQUIT', exitCode: 3, got: 'QUIT' },
] as const

testOnEach(
  "%s: the stop signal is the config's, else the image's, else SIGTERM; the status tells it",
  async (handler) => {
    for (const { image, config, signal, exitCode, got } of CASES) {
      await using pod = await runPod(daemon(), handler)
      const container = await runTelling(pod, { image: { image: imageOf(image) }, stop_signal: config })
      expect(await container.status(), image).toMatchObject({ stop_signal: signal })

      await daemon().rpc('StopContainer', { container_id: container.id, timeout: 30 })
      expect(await container.status(), image).toMatchObject({
        state: 'CONTAINER_EXITED',
        exit_code: exitCode,
        stop_signal: signal,
      })
      expect(logOf(pod)).toBe(`ready; got ${got}`)
    }
  },
)

/** Ends when the file /end is there, and not before. */
const LINGERS = ['sh', '-c', 'trap "echo asked" TERM; echo ready; while [ ! -e /end ]; do sleep 0.05; done']

testOnEach(
  '%s: while it terminates it runs: commands and probes are executed in it, until its end',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const container = await pod.run({ command: LINGERS })
    await until('it is ready for signals', () => logOf(pod) === 'ready')
    const stop = daemon().rpc('StopContainer', { container_id: container.id, timeout: 100 })
    await until('it was asked to end', () => logOf(pod) === 'ready; asked')

    expect(await container.status()).toMatchObject({ state: 'CONTAINER_RUNNING' })
    expect(await container.exec('echo', 'probed')).toBe('probed')
    const failing = { container_id: container.id, cmd: ['sh', '-c', 'exit 3'], timeout: 10 }
    expect(await daemon().rpc('ExecSync', failing)).toMatchObject({ exit_code: 3 })
    const slow = { container_id: container.id, cmd: ['sleep', '3600'], timeout: 1 }
    await expect(daemon().rpc('ExecSync', slow)).rejects.toMatchObject({ code: DEADLINE_EXCEEDED })

    await container.exec('touch', '/end')
    await stop
    expect(await container.status()).toMatchObject({ state: 'CONTAINER_EXITED', exit_code: 0 })
    await expect(container.exec('true')).rejects.toThrow(/not running|exited/)
  },
)

testOnEach('%s: a command under way ends with its container, and is answered', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run()
  const asked = {
    container_id: container.id,
    cmd: ['sh', '-c', 'touch /began; exec sleep 3600'],
    timeout: 60,
  }
  const command = daemon().rpc('ExecSync', asked)
  await until('the command runs', () =>
    container.exec('ls', '/began').then(
      () => true,
      () => false,
    ),
  )
  const begin = performance.now()
  await daemon().rpc('StopContainer', { container_id: container.id, timeout: 0 })
  const answer = await command.then(
    ({ exit_code }) => exit_code,
    ({ message }: Error) => message,
  )
  expect(performance.now() - begin, `${answer}`).toBeLessThan(10_000)
  expect(answer).not.toBe(0)
})
