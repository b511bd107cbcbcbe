import { readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { testOnEach, useDaemon } from './host.ts'
import { runPod } from './pod.ts'
import { until } from './until.ts'

const daemon = useDaemon()

const LINE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(?:Z|[+-]\d\d:\d\d) (stdout|stderr) ([PF]) (.*)$/
const parse = (log: string): readonly string[] =>
  log
    .trimEnd()
    .split('\n')
    .map((line) => LINE.exec(line)?.slice(1).join(' ') ?? `not a line of CRI: ${line}`)

testOnEach('%s: both streams are logged in the CRI format', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({ command: ['sh', '-c', 'echo out; echo err >&2'] })
  await container.exited()
  const lines = parse(readFileSync(join(pod.logDirectory, 'container.log'), 'utf8'))
  expect([...lines].sort()).toEqual(['stderr F err', 'stdout F out'])
  expect((await container.status())['log_path']).toBe(join(pod.logDirectory, 'container.log'))
})

testOnEach('%s: a line without its end is partial', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({ command: ['sh', '-c', 'printf begun; sleep 0.2; echo " and ended"'] })
  await container.exited()
  const lines = parse(readFileSync(join(pod.logDirectory, 'container.log'), 'utf8'))
  expect(lines).toEqual(['stdout P begun', 'stdout F  and ended'])
  expect(await daemon().crictl('logs', container.id)).toBe('begun and ended\n')
})

testOnEach('%s: a line longer than a page is cut in parts, and no byte is lost', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({ command: ['sh', '-c', 'head -c 40000 /dev/zero | tr "\\\\0" x; echo'] })
  await container.exited()
  expect(await daemon().crictl('logs', container.id)).toBe(`${'x'.repeat(40_000)}\n`)
})

testOnEach('%s: after ReopenContainerLog it goes on in a new file', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({
    command: ['sh', '-c', 'i=0; while :; do echo $((i+=1)); sleep 0.02; done'],
  })
  const [log, rotated] = ['container.log', 'container.log.1'].map((name) => join(pod.logDirectory, name)) as [
    string,
    string,
  ]
  await until('there is a line', () => readFileSync(log, 'utf8').includes('\n'))
  renameSync(log, rotated)
  await daemon().crictl('logs', '--reopen', container.id)
  await until('there is one in the new file', () => readFileSync(log, 'utf8').includes('\n'))
  await daemon().crictl('stop', '--timeout', '0', container.id)

  const numbers = [rotated, log].flatMap((file) =>
    parse(readFileSync(file, 'utf8')).map((line) => Number(line.split(' ')[2])),
  )
  expect(numbers).toEqual(numbers.map((_, index) => index + 1))
})

testOnEach('%s: the log of a container that does not run cannot be reopened', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.create()
  await expect(daemon().rpc('ReopenContainerLog', { container_id: container.id })).rejects.toMatchObject({
    code: 9,
  })
})
