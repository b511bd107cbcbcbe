import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ExecLab, execClient, execLab, textOf } from '#test/integration/exec-lab.ts'
import { handlers } from '#test/integration/monitor-lab.ts'
import { findProcesses } from './proc.ts'

let lab: ExecLab
beforeAll(async () => {
  lab = await execLab()
})
afterAll(() => lab[Symbol.asyncDispose]())
const onEach = test.for(handlers)
const exec: ExecLab['exec'] = (...call) => lab.exec(...call)
const openFds = (): number => readdirSync('/proc/self/fd').length
const sleeping = (seconds: number): number =>
  findProcesses((argv) => argv.includes('sleep') && argv.includes(`${seconds}`)).length

onEach('%s: a command reads its input to the end, and its output is apart by stream', async (handler) => {
  const { stdin, stdout, stderr, streams } = execClient()
  const [out, err] = [textOf(stdout), textOf(stderr)]
  const run = exec(handler, 'cat; echo end >&2; exit 5', streams)
  stdin.write('some ')
  stdin.end('input')
  expect(await run).toBe(5)
  expect([out.text(), err.text()]).toEqual(['some input', 'end\n'])
})

onEach('%s: streams that the client has not are closed or dropped', async (handler) => {
  const { streams } = execClient(['stdin', 'stdout', 'stderr'])
  expect(await exec(handler, 'cat; head -c 300000 /dev/zero; echo no >&2; exit 6', streams)).toBe(6)
})

onEach('%s: a client that does not read stops the command, and loses nothing', async (handler) => {
  const { stdout, streams } = execClient(['stdin', 'stderr'])
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
  const { stdout, streams } = execClient(['stdin', 'stderr'])
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
    const { stdin, streams } = execClient(['stderr'])
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
  const { stdout, streams } = execClient(['stdin'])
  const out = textOf(stdout)
  expect(await exec(handler, `sleep ${seconds} & echo begun; exit 4`, streams)).toBe(4)
  expect(out.text()).toBe('begun\n')
  await expect.poll(() => sleeping(seconds)).toBe(1)
})

onEach('%s: when the client goes all is killed that the command has started', async (handler) => {
  const seconds = handler === 'runc' ? 71_003 : 71_004
  for (const terminal of [false, true]) {
    const { streams } = execClient()
    const gone = new AbortController()
    const options = { terminal, signal: gone.signal }
    const run = exec(handler, `setsid sleep ${seconds} & sleep ${seconds}`, streams, options)
    await expect.poll(() => sleeping(seconds)).toBe(2)
    gone.abort()
    await expect(run).rejects.toMatchObject({ kind: 'cancelled' })
    await expect.poll(() => sleeping(seconds)).toBe(0)
  }
})

onEach('%s: a reset of its input is the end of it', async (handler) => {
  const { stdin, stdout, streams } = execClient(['stderr'])
  const out = textOf(stdout)
  const run = exec(handler, 'cat; echo done', streams)
  stdin.write('some\n')
  await expect.poll(out.text, { timeout: 10_000 }).toBe('some\n')
  stdin.destroy()
  expect(await run).toBe(0)
  expect(out.text()).toBe('some\ndone\n')
})

onEach(
  '%s: a command that is not there is an error that names it, with and without a terminal',
  async (handler) => {
    for (const terminal of [false, true]) {
      const id = lab.idOf(handler)
      const base = await lab.lab.monitor().ociProcess(id)
      const { streams } = execClient()
      const ociProcess = { ...base, args: ['/no/such/program'], terminal }
      const { signal } = new AbortController()
      await expect(
        lab.lab.monitor().execStreamed({ id, handler, ociProcess, streams, signal }),
      ).rejects.toMatchObject({
        kind: 'failed-precondition',
        message: expect.stringMatching(/no\/such\/program/),
      })
    }
  },
)

onEach('%s: nothing stays open', async (handler) => {
  const run = async (terminal: boolean): Promise<void> => {
    const { stdin, stdout, stderr, streams } = execClient()
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
