import { readdirSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { CommandStreams, MonitoredContainer, TerminalSize } from '#runtime/monitor-port.ts'
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
const openFds = (): number => readdirSync('/proc/self/fd').length
const sleeping = (seconds: number): number =>
  findProcesses((argv) => argv.includes('sleep') && argv.includes(`${seconds}`)).length

/** A client with all streams. What it is sent stays in the streams, which hold little, until somebody reads it. */
function client(without: readonly ('stdin' | 'stdout' | 'stderr')[] = []) {
  const stream = (): PassThrough => new PassThrough({ highWaterMark: 16 << 10 })
  const [stdin, stdout, stderr] = [stream(), stream(), stream()]
  let known: TerminalSize | undefined
  let tell: (size: TerminalSize) => void = () => {}
  const streams: CommandStreams = {
    stdin: without.includes('stdin') ? undefined : stdin,
    stdout: without.includes('stdout') ? undefined : stdout,
    stderr: without.includes('stderr') ? undefined : stderr,
    onResize: (listener) => {
      tell = listener
      if (known !== undefined) listener(known)
    },
  }
  const resize = (size: TerminalSize): void => {
    known = size
    tell(size)
  }
  return { stdin, stdout, stderr, streams, resize }
}

/** All that comes, as text that grows. */
function textOf(stream: PassThrough): { readonly text: () => string } {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  return { text: () => `${Buffer.concat(chunks)}` }
}

async function exec(
  handler: string,
  script: string,
  streams: CommandStreams,
  { terminal = false, signal = new AbortController().signal } = {},
): Promise<number> {
  const id = containers.get(handler)?.id ?? ''
  const ociProcess = { ...(await lab.monitor().ociProcess(id)), args: ['/bin/sh', '-c', script], terminal }
  return await lab.monitor().execStreamed({ id, handler, ociProcess, streams, signal })
}

onEach('%s: a command reads its input to the end, and its output is apart by stream', async (handler) => {
  const { stdin, stdout, stderr, streams } = client()
  const [out, err] = [textOf(stdout), textOf(stderr)]
  const run = exec(handler, 'cat; echo end >&2; exit 5', streams)
  stdin.write('some ')
  stdin.end('input')
  expect(await run).toBe(5)
  expect([out.text(), err.text()]).toEqual(['some input', 'end\n'])
})

onEach('%s: streams that the client has not are closed or dropped', async (handler) => {
  const { streams } = client(['stdin', 'stdout', 'stderr'])
  expect(await exec(handler, 'cat; head -c 300000 /dev/zero; echo no >&2; exit 6', streams)).toBe(6)
})

onEach('%s: a client that does not read stops the command, and loses nothing', async (handler) => {
  const { stdout, streams } = client(['stdin', 'stderr'])
  const sizeBytes = 4 << 20
  const script = `head -c ${sizeBytes} /dev/zero; touch /tmp/written; exit 3`
  const run = exec(handler, script, streams)
  await expect.poll(() => stdout.readableLength).toBeGreaterThan(0)
  await expect.poll(() => stdout.writableNeedDrain).toBe(true)
  expect(stdout.readableLength + stdout.writableLength).toBeLessThan(1 << 20)
  let receivedBytes = 0
  stdout.on('data', (chunk: Buffer) => {
    receivedBytes += chunk.length
  })
  expect(await run).toBe(3)
  expect(receivedBytes).toBe(sizeBytes)
})

onEach('%s: what a command wrote before its end reaches a client that reads late', async (handler) => {
  const { stdout, streams } = client(['stdin', 'stderr'])
  const run = exec(handler, 'head -c 60000 /dev/zero; exit 0', streams)
  await expect.poll(() => stdout.writableNeedDrain).toBe(true)
  await expect.poll(() => findProcesses((argv) => argv.includes('60000')).length).toBe(0)
  const chunks = textOf(stdout)
  expect(await run).toBe(0)
  expect(chunks.text()).toHaveLength(60_000)
})

onEach(
  '%s: a command that does not read stops the client, and what is left over is dropped',
  async (handler) => {
    const { stdin, streams } = client(['stderr'])
    const run = exec(handler, 'read line; echo "$line"; exec >&-; sleep 0.1', streams)
    stdin.write('first\n')
    const chunk = Buffer.alloc(64 << 10)
    while (stdin.write(chunk));
    expect(await run).toBe(0)
    await expect.poll(() => stdin.writableNeedDrain).toBe(false)
  },
)

onEach('%s: a child left behind that holds the output does not hold up the end', async (handler) => {
  const seconds = handler === 'runc' ? 71_001 : 71_002
  const { stdout, streams } = client(['stdin'])
  const out = textOf(stdout)
  expect(await exec(handler, `sleep ${seconds} & echo begun; exit 4`, streams)).toBe(4)
  expect(out.text()).toBe('begun\n')
  await expect.poll(() => sleeping(seconds)).toBe(1)
})

onEach('%s: when the client goes all is killed that the command has started', async (handler) => {
  const seconds = handler === 'runc' ? 71_003 : 71_004
  for (const terminal of [false, true]) {
    const { streams } = client()
    const gone = new AbortController()
    const options = { terminal, signal: gone.signal }
    const run = exec(handler, `setsid sleep ${seconds} & sleep ${seconds}`, streams, options)
    await expect.poll(() => sleeping(seconds)).toBe(2)
    gone.abort()
    await expect(run).rejects.toMatchObject({ kind: 'cancelled' })
    await expect.poll(() => sleeping(seconds)).toBe(0)
  }
})

onEach('%s: a terminal is one, of the size that the client says, also when it changes', async (handler) => {
  const { stdin, stdout, streams, resize } = client(['stderr'])
  const out = textOf(stdout)
  const script = 'while read line; do busybox stty size; done; exit 9'
  const run = exec(handler, script, streams, { terminal: true })
  for (const [columns, rows] of [
    [100, 40],
    [61, 17],
  ] as const) {
    resize({ columns, rows })
    await expect
      .poll(() => {
        stdin.write('\n')
        return out.text()
      })
      .toContain(`${rows} ${columns}`)
  }
  stdin.write('\x04')
  expect(await run).toBe(9)
})

onEach('%s: what is typed early is echoed once', async (handler) => {
  const { stdin, stdout, streams } = client(['stderr'])
  const out = textOf(stdout)
  const run = exec(handler, 'read line; echo "got $line"', streams, { terminal: true })
  stdin.write('typed\n')
  expect(await run).toBe(0)
  expect(out.text()).toBe('typed\r\ngot typed\r\n')
})

onEach('%s: what a short command says on its terminal is never lost', async (handler) => {
  for (let round = 0; round < 20; round += 1) {
    const { stdout, streams } = client(['stdin', 'stderr'])
    const out = textOf(stdout)
    expect(await exec(handler, 'echo -n hello', streams, { terminal: true })).toBe(0)
    expect(out.text()).toBe('hello')
  }
})

onEach('%s: much output of a terminal arrives whole', async (handler) => {
  const { stdout, streams } = client(['stdin', 'stderr'])
  const out = textOf(stdout)
  const script = 'head -c 700000 /dev/zero | tr "\\0" x; exit 2'
  expect(await exec(handler, script, streams, { terminal: true })).toBe(2)
  expect(out.text()).toHaveLength(700_000)
})

onEach(
  '%s: a command that is not there is an error that names it, with and without a terminal',
  async (handler) => {
    for (const terminal of [false, true]) {
      const id = containers.get(handler)?.id ?? ''
      const base = await lab.monitor().ociProcess(id)
      const { streams } = client()
      const ociProcess = { ...base, args: ['/no/such/program'], terminal }
      const { signal } = new AbortController()
      await expect(
        lab.monitor().execStreamed({ id, handler, ociProcess, streams, signal }),
      ).rejects.toMatchObject({
        kind: 'failed-precondition',
        message: expect.stringMatching(/no\/such\/program/),
      })
    }
  },
)

onEach('%s: nothing stays open', async (handler) => {
  const run = async (terminal: boolean): Promise<void> => {
    const { stdin, stdout, stderr, streams } = client()
    textOf(stdout)
    textOf(stderr)
    stdin.end()
    await exec(handler, 'true', streams, { terminal })
  }
  await run(false)
  await run(true)
  const before = openFds()
  for (const terminal of [true, false, true, false]) await run(terminal)
  await expect.poll(openFds).toBe(before)
})
