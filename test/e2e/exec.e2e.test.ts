import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findProcesses } from '#linux/proc.ts'
import { HANDLERS, testOnEach, useDaemon } from './host.ts'
import { type Container, POD, runPod } from './pod.ts'
import { openStream, runStream } from './stream-client.ts'
import { typedCommand } from './typed-command.ts'
import { until } from './until.ts'

const daemon = useDaemon()

const PROTOCOLS = [
  ['spdy', 'channel.k8s.io'],
  ['spdy', 'v2.channel.k8s.io'],
  ['spdy', 'v3.channel.k8s.io'],
  ['spdy', 'v4.channel.k8s.io'],
  ['websocket', 'v4.channel.k8s.io'],
  ['websocket', 'v5.channel.k8s.io'],
  ['raw-websocket', 'channel.k8s.io'],
  ['raw-websocket', 'base64.channel.k8s.io'],
  ['raw-websocket', 'v4.base64.channel.k8s.io'],
  ['raw-websocket', ''],
] as const

interface Asked {
  readonly stdin?: boolean
  readonly tty?: boolean
}

async function execUrl({ id }: Container, script: string, { stdin = false, tty = false }: Asked = {}) {
  const { url } = await daemon().rpc('Exec', {
    ...{ container_id: id, cmd: ['sh', '-c', script], stdin, tty, stdout: true, stderr: !tty },
  })
  return String(url)
}

const sleeping = (seconds: number): number =>
  findProcesses((argv) => argv.includes('sleep') && argv.includes(`${seconds}`)).length

test.for(HANDLERS.flatMap((handler) => PROTOCOLS.map((protocol) => [handler, ...protocol] as const)))(
  '%s: over %s %s both outputs arrive, and how the command ended',
  async ([handler, transport, protocol]) => {
    await using pod = await runPod(daemon(), handler)
    const container = await pod.run()
    const url = await execUrl(container, 'echo out; echo err >&2; exit 3')
    const { stdout, stderr, exitCode, error } = await runStream('exec', url, {
      transport,
      ...(protocol === '' ? {} : { protocol }),
    })
    expect([`${stdout}`, `${stderr}`]).toEqual(['out\n', 'err\n'])
    if (/v[45]/.test(protocol)) expect(exitCode).toBe(3)
    else expect(error).toContain('command terminated with non-zero exit code: exit status 3')

    const success = await runStream('exec', await execUrl(container, 'true'), {
      transport,
      ...(protocol === '' ? {} : { protocol }),
    })
    expect(success.error).toBe('')
  },
)

testOnEach('%s: input ends with the client, and comes back whole', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run()
  const input = Buffer.alloc(5_000_000, 'some text, again and again\n')
  for (const [transport, protocol] of [
    ['spdy', 'v4.channel.k8s.io'],
    ['websocket', 'v5.channel.k8s.io'],
  ] as const) {
    const url = await execUrl(container, 'cat; echo end >&2', { stdin: true })
    const { stdout, stderr, error } = await runStream('exec', url, { transport, protocol, input })
    expect([hashOf(stdout), `${stderr}`, error]).toEqual([hashOf(input), 'end\n', ''])
  }
})

testOnEach(
  '%s: a session of crictl exec -it: typing, resizing, leaving with the exit code',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const container = await pod.run()
    for (const transport of ['spdy', 'websocket']) {
      await using session = typedCommand(
        ...daemon().crictlCommand('exec', '-it', '--transport', transport, container.id, 'sh'),
      )
      session.type('stty size; tty\n')
      await session.shows('24 80')
      await session.shows('/dev/pts/')
      session.type('until [ "$(stty size)" = "45 123" ]; do sleep 0.05; done; echo "now $((3 + 4))"\n')
      session.resize(123, 45)
      await session.shows('now 7')
      session.type('echo "in $((40 + 2))"; exit 9\n')
      await session.shows('in 42')
      expect(await session.ended).not.toBe(0)
    }
  },
)

testOnEach('%s: when the client goes the command is killed with all it started', async (handler) => {
  const seconds = handler === 'runc' ? 72_001 : 72_002
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run()
  for (const transport of ['spdy', 'websocket'] as const) {
    const url = await execUrl(container, `setsid sleep ${seconds} & sleep ${seconds}`)
    const client = openStream('exec', url, { transport })
    await until('both sleep', () => sleeping(seconds) === 2)
    await client[Symbol.asyncDispose]()
    await until('none is left', () => sleeping(seconds) === 0)
  }
})

testOnEach(
  '%s: the end of the daemon ends its sessions, a killed one leaves no command behind',
  async (handler) => {
    const seconds = handler === 'runc' ? 72_003 : 72_004
    await using pod = await runPod(daemon(), handler)
    const container = await pod.run()
    for (const end of ['stop', 'kill9'] as const) {
      await using _client = openStream('exec', await execUrl(container, `sleep ${seconds}`))
      await until('it sleeps', () => sleeping(seconds) === 1)
      await daemon()[end]()
      await daemon().start()
      await until('none is left', () => sleeping(seconds) === 0)
    }
    expect((await container.status())['state']).toBe('CONTAINER_RUNNING')
  },
)

testOnEach('%s: what cannot be executed is an error that says why', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const created = await pod.create()
  const asked = { cmd: ['true'], stdout: true }
  await expect(daemon().rpc('Exec', { container_id: created.id, ...asked })).rejects.toMatchObject({
    code: 9,
    details: expect.stringContaining('is created, not running'),
  })
  const container = await pod.run()
  const missing = await daemon().rpc('Exec', { container_id: container.id, cmd: ['/no/such'], stdout: true })
  const { error } = await runStream('exec', String(missing['url']), { streams: ['stdout'] })
  expect(error).toContain('/no/such')

  const late = await execUrl(container, 'true')
  await daemon().rpc('StopContainer', { container_id: container.id, timeout: 0 })
  expect((await runStream('exec', late)).error).toContain(`container ${container.id} is exited, not running`)
})

testOnEach('%s: commands that begin while their pod is stopped do not hold it up', async (handler) => {
  for (let round = 0; round < 8; round += 1) {
    await using pod = await runPod(daemon(), handler, {
      linux: { security_context: { namespace_options: { pid: POD } } },
    })
    const container = await pod.run()
    const urls = await Promise.all(
      Array.from({ length: 4 }, () => execUrl(container, 'sleep 1000', { stdin: true, tty: true })),
    )
    const clients = urls.map((url) => openStream('exec', url, { tty: true, streams: ['stdin', 'stdout'] }))
    await new Promise((resolve) => setTimeout(resolve, round * 10))
    await daemon().rpc('StopPodSandbox', { pod_sandbox_id: pod.id })
    await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()))
  }
})

testOnEach('%s: a container that ends meanwhile ends its commands', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run()
  const client = openStream('exec', await execUrl(container, 'echo here; sleep 1000'))
  await until('it runs', () => `${client.stdout()}` === 'here\n')
  await daemon().rpc('StopContainer', { container_id: container.id, timeout: 0 })
  const { exitCode, error } = await client.ended
  expect(exitCode ?? error).toSatisfy((end) => end === 137 || String(end).includes('has ended'))
})

testOnEach('%s: a client that goes with its input unread is found out', async (handler) => {
  const seconds = handler === 'runc' ? 72_005 : 72_006
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run()
  const clients = await Promise.all(
    (['spdy', 'websocket'] as const).map(async (transport) => {
      const url = await execUrl(container, `exec sleep ${seconds}`, { stdin: true })
      const streams = ['stdin', 'stdout', 'stderr'] as const
      return openStream('exec', url, { transport, streams, stdinFile: '/dev/zero' })
    }),
  )
  await until('both sleep', () => sleeping(seconds) === 2)
  await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()))
  await until('none is left', () => sleeping(seconds) === 0, 30_000)
})

testOnEach(
  '%s: a client that reads slowly and types meanwhile gets all, and the exit code',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const container = await pod.run()
    const url = await execUrl(container, 'head -c 8000000 /dev/zero; exit 4', { stdin: true })
    const streams = ['stdin', 'stdout', 'stderr'] as const
    const fifo = join(daemon().directory, `slow-${handler}`)
    execFileSync('mkfifo', [fifo])
    const slow = spawn('sh', [
      '-c',
      `while dd bs=100k count=1 2>/dev/null | wc -c | grep -qv '^0$'; do sleep 0.1; done <${fifo}`,
    ])
    await using client = openStream('exec', url, { streams, stdoutFile: fifo })
    const typing = setInterval(() => client.stdin.write('x'), 50)
    const { exitCode, stdoutBytes } = await client.ended.finally(() => clearInterval(typing))
    expect([exitCode, stdoutBytes]).toEqual([4, 8_000_000])
    if (slow.exitCode === null) await once(slow, 'exit')
  },
)

testOnEach(
  '%s: a client that stops reading stops the command, and the daemon holds next to nothing',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const container = await pod.run()
    for (const transport of ['spdy', 'websocket'] as const) {
      const before = residentBytes()
      const url = await execUrl(container, 'exec cat /dev/zero')
      await using client = openStream('exec', url, { transport, stdoutFile: '/dev/null' })
      await until('it runs', () => findProcesses(isCat).length === 1)
      process.kill(client.pid, 'SIGSTOP')
      await until('the command waits', waitsToWrite)
      expect(residentBytes() - before).toBeLessThan(60 << 20)
      await client[Symbol.asyncDispose]()
      await until('it is killed', () => findProcesses(isCat).length === 0)
    }
  },
)

const isCat = (argv: readonly string[]): boolean => argv[0] === 'cat' && argv[1] === '/dev/zero'
/** What it has done stays the same for a while. */
async function waitsToWrite(): Promise<boolean> {
  const done = (): string =>
    findProcesses(isCat)
      .map((pid) => readFileSync(`/proc/${pid}/stat`, 'utf8'))
      .join()
  const before = done()
  await new Promise((resolve) => setTimeout(resolve, 300))
  return before !== '' && done() === before
}

const residentBytes = (): number => {
  const status = readFileSync(join('/proc', `${daemon().pid()}`, 'status'), 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024
}

const hashOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
