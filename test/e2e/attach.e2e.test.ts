import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { findProcesses } from '#linux/proc.ts'
import { testOnEach, useDaemon } from './host.ts'
import { type Container, type Pod, runPod } from './pod.ts'
import { openStream, runStream } from './stream-client.ts'
import { typedCommand } from './typed-command.ts'
import { until } from './until.ts'

const daemon = useDaemon()

type Stream = 'stdin' | 'stdout' | 'stderr'

async function attachUrl({ id }: Container, streams: readonly Stream[], tty = false): Promise<string> {
  const wanted = Object.fromEntries(streams.map((name) => [name, true]))
  return String((await daemon().rpc('Attach', { container_id: id, tty, ...wanted }))['url'])
}

/** What a container has logged on a stream, without the decoration of its lines. */
const logged = (pod: Pod, stream: Stream): string =>
  readFileSync(join(pod.logDirectory, 'container.log'), 'utf8')
    .split('\n')
    .filter((line) => line.split(' ')[1] === stream)
    .map((line) => {
      const [, , tag, ...text] = line.split(' ')
      return text.join(' ') + (tag === 'F' ? '\n' : '')
    })
    .join('')

/** How many sockets its monitor has. */
function connectionsTo({ id }: Container): number {
  const [monitor] = findProcesses((argv) => argv.includes('--cid') && argv.includes(id))
  const links = readdirSync(`/proc/${monitor}/fd`).map((fd) => readlinkSync(`/proc/${monitor}/fd/${fd}`))
  return links.filter((link) => link.startsWith('socket:')).length
}

const ECHOES = {
  command: ['sh', '-c', 'while read line; do echo "got $line"; echo "err $line" >&2; done'],
  stdin: true,
}

testOnEach(
  '%s: input reaches the container, and both outputs come back on their streams',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const container = await pod.run(ECHOES)
    for (const transport of ['spdy', 'websocket'] as const) {
      const streams = ['stdin', 'stdout', 'stderr'] as const
      await using client = openStream('attach', await attachUrl(container, streams), { transport, streams })
      client.stdin.write(`${transport}\n`)
      await until('it answers', () => `${client.stdout()}` === `got ${transport}\n`)
      await client[Symbol.asyncDispose]()
      expect((await container.status())['state']).toBe('CONTAINER_RUNNING')
    }
    expect(logged(pod, 'stdout')).toBe('got spdy\ngot websocket\n')
    expect(logged(pod, 'stderr')).toBe('err spdy\nerr websocket\n')
  },
)

testOnEach(
  '%s: what every client of a container sees is what its log holds, to the byte',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const script =
      'read line; i=0; while [ $i -lt 2000 ]; do echo "line $((i+=1)) of some length"; done; printf end'
    const container = await pod.run({ command: ['sh', '-c', script], stdin: true })
    const before = connectionsTo(container)
    const watching = await Promise.all(
      (['spdy', 'websocket', 'spdy'] as const).map(async (transport) =>
        openStream('attach', await attachUrl(container, ['stdout', 'stderr']), { transport }),
      ),
    )
    await until('all are attached', () => connectionsTo(container) === before + watching.length)
    const streams = ['stdin', 'stdout'] as const
    const typing = openStream('attach', await attachUrl(container, streams), { streams })
    typing.stdin.write('go\n')
    const outputs = await Promise.all([...watching, typing].map(({ ended }) => ended))
    await container.exited()
    const log = logged(pod, 'stdout')
    expect(log.split('\n')).toHaveLength(2001)
    for (const { stdout, error } of outputs) expect([`${stdout}`, error]).toEqual([log, ''])
  },
)

testOnEach(
  '%s: the end of the first client that has it is the end of the input of stdin-once',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const command = ['sh', '-c', 'cat; echo over; sleep 0.1; exit 4']
    const container = await pod.run({ command, stdin: true, stdin_once: true })
    const streams = ['stdin', 'stdout'] as const
    const client = await runStream('attach', await attachUrl(container, streams), { streams, input: 'all\n' })
    expect(`${client.stdout}`).toBe('all\nover\n')
    expect((await container.exited())['exit_code']).toBe(4)
  },
)

testOnEach(
  '%s: without it a client whose input ends leaves, with the answer to what it said',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const container = await pod.run(ECHOES)
    const streams = ['stdin', 'stdout'] as const
    const client = await runStream('attach', await attachUrl(container, streams), { streams, input: 'all\n' })
    expect([`${client.stdout}`, client.error]).toEqual(['got all\n', ''])
    expect((await container.status())['state']).toBe('CONTAINER_RUNNING')
  },
)

testOnEach('%s: without stdin-once clients come and go, and also the daemon', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run(ECHOES)
  const streams = ['stdin', 'stdout'] as const
  const say = async (text: string): Promise<void> => {
    await using client = openStream('attach', await attachUrl(container, streams), { streams })
    client.stdin.write(`${text}\n`)
    await until('it answers', () => `${client.stdout()}`.endsWith(`got ${text}\n`))
  }
  await say('one')
  await say('two')
  await daemon().kill9()
  await daemon().start()
  await say('three')
  await daemon().stop()
  await daemon().start()
  await say('four')
  expect(logged(pod, 'stdout')).toBe('got one\ngot two\ngot three\ngot four\n')
})

testOnEach('%s: crictl attach -it to a terminal, whose size follows', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({ command: ['sh'], stdin: true, tty: true })
  for (const transport of ['spdy', 'websocket']) {
    await using session = typedCommand(
      ...daemon().crictlCommand('attach', '-it', '--transport', transport, container.id),
    )
    session.type('echo "in $((40 + 2))"\n')
    await session.shows('in 42')
    session.resize(101, 33)
    session.type('until [ "$(stty size)" = "33 101" ]; do sleep 0.05; done; echo "now $((3 + 4))"\n')
    await session.shows('now 7')
    session.resize(80, 24)
    session.type('until [ "$(stty size)" = "24 80" ]; do sleep 0.05; done; echo "again $((4 + 4))"\n')
    await session.shows('again 8')
  }
  expect((await container.status())['state']).toBe('CONTAINER_RUNNING')
})

testOnEach('%s: a client that does not read stops neither the log nor the end', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const script = 'read line; head -c 60000000 /dev/zero | tr "\\0" "x"; exit 5'
  const container = await pod.run({ command: ['sh', '-c', script], stdin: true })
  const streams = ['stdin', 'stdout'] as const
  await using client = openStream('attach', await attachUrl(container, streams), { streams })
  client.stdin.write('go\n')
  await until('output comes', () => client.stdout().length > 0)
  process.kill(client.pid, 'SIGSTOP')
  expect((await container.exited())['exit_code']).toBe(5)
  expect(logged(pod, 'stdout')).toHaveLength(60_000_000)
  process.kill(client.pid, 'SIGCONT')
  expect((await client.ended).error).toMatch(/behind/)
})

testOnEach('%s: what cannot be attached to is refused with the reason', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({ command: ['true'] })
  await container.exited()
  await expect(attachUrl(container, ['stdout'])).rejects.toMatchObject({
    code: 9,
    details: expect.stringContaining('is exited, not running'),
  })
  const running = await pod.run()
  await expect(attachUrl(running, ['stdout'], true)).rejects.toMatchObject({
    code: 3,
    details: expect.stringContaining('has no terminal'),
  })
})
