import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ExecLab, execClient, execLab, textOf } from '#test/integration/exec-lab.ts'
import { handlers } from '#test/integration/monitor-lab.ts'

let lab: ExecLab
beforeAll(async () => {
  lab = await execLab()
})
afterAll(() => lab[Symbol.asyncDispose]())
const onEach = test.for(handlers)
const exec: ExecLab['exec'] = (...call) => lab.exec(...call)

onEach('%s: a terminal is one, of the size that the client says, also when it changes', async (handler) => {
  const { stdin, stdout, streams, resize } = execClient(['stderr'])
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

onEach('%s: a command that does not read its terminal stops who types, and nobody else', async (handler) => {
  const { stdin, stdout, streams } = execClient(['stderr'])
  const out = textOf(stdout)
  const gone = new AbortController()
  const script = 'busybox stty raw -echo; echo ready; exec sleep 600'
  const run = exec(handler, script, streams, { terminal: true, signal: gone.signal })
  await expect.poll(out.text).toContain('ready')
  let lateMs = 0
  let lastMs = performance.now()
  const beat = setInterval(() => {
    lateMs = Math.max(lateMs, performance.now() - lastMs)
    lastMs = performance.now()
  }, 10)
  for (let sent = 0; sent < 20; sent += 1) stdin.write(Buffer.alloc(50_000, 'x'))
  await expect.poll(() => stdin.writableNeedDrain).toBe(true)
  await new Promise((resolve) => setTimeout(resolve, 200))
  clearInterval(beat)
  expect(lateMs).toBeLessThan(1000)
  gone.abort()
  await expect(run).rejects.toMatchObject({ kind: 'cancelled' })
})

onEach('%s: much input of a terminal arrives whole', async (handler) => {
  const { stdin, stdout, streams } = execClient(['stderr'])
  const out = textOf(stdout)
  const script = 'busybox stty raw -echo; echo ready; head -c 500000 | wc -c'
  const run = exec(handler, script, streams, { terminal: true })
  await expect.poll(out.text).toContain('ready')
  stdin.write(Buffer.alloc(500_000, 'x'))
  expect(await run).toBe(0)
  expect(out.text()).toContain('500000')
})

onEach('%s: what is typed early is echoed once', async (handler) => {
  const { stdin, stdout, streams } = execClient(['stderr'])
  const out = textOf(stdout)
  const run = exec(handler, 'read line; echo "got $line"', streams, { terminal: true })
  stdin.write('typed\n')
  expect(await run).toBe(0)
  expect(out.text()).toBe('typed\r\ngot typed\r\n')
})

onEach('%s: what a short command says on its terminal is never lost', async (handler) => {
  for (let round = 0; round < 20; round += 1) {
    const { stdout, streams } = execClient(['stdin', 'stderr'])
    const out = textOf(stdout)
    expect(await exec(handler, 'echo -n hello', streams, { terminal: true })).toBe(0)
    expect(out.text()).toBe('hello')
  }
})

onEach('%s: much output of a terminal arrives whole', async (handler) => {
  const { stdout, streams } = execClient(['stdin', 'stderr'])
  const out = textOf(stdout)
  const script = 'head -c 700000 /dev/zero | tr "\\0" x; exit 2'
  expect(await exec(handler, script, streams, { terminal: true })).toBe(2)
  expect(out.text()).toHaveLength(700_000)
})
