import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { beforeEach, expect, test } from 'vitest'
import type { CriError } from '#lib/errors.ts'
import type { CommandStreams } from '#runtime/monitor-port.ts'
import { containerSpec, sandboxSpec } from '#test/fakes/records.ts'
import { quiet, type RuntimeLab, runtimeLab } from '#test/fakes/runtime-lab.ts'

let lab: RuntimeLab
let sandboxId: string
beforeEach(async () => {
  lab = runtimeLab()
  sandboxId = await lab.runtime.sandboxes.run(sandboxSpec())
})
const { signal } = new AbortController()
const commands = () => lab.runtime.commands

async function start(over: Parameters<typeof containerSpec>[0] = {}): Promise<string> {
  const id = await lab.runtime.containers.create(containerSpec({ sandboxId, ...over }))
  await lab.runtime.containers.start(id)
  return id
}

function client() {
  const stdout = new PassThrough()
  const streams: CommandStreams = { stdin: undefined, stdout, stderr: undefined, onResize: () => {} }
  return { stdout, streams }
}

test("a command runs as its container's own process does, with a terminal if it is to have one", async () => {
  const id = await start()
  const { stdout } = await commands().execSync(id, ['/bin/id'], undefined, signal)
  expect(JSON.parse(`${stdout}`.replace(/ at most \d+$/, ''))).toMatchObject({ args: ['/bin/id'] })

  const { stdout: output, streams } = client()
  expect(await commands().exec(id.slice(0, 12), { command: ['sh'], tty: true }, streams, signal)).toBe(7)
  const ociProcess = JSON.parse(await text(output.end()))
  expect(ociProcess).toMatchObject({ args: ['sh'], terminal: true })
  expect(ociProcess.env).toContain('TERM=xterm')
})

test('nothing is executed in a container that does not run', async () => {
  const { streams } = client()
  const created = await lab.runtime.containers.create(containerSpec({ sandboxId }))
  const exited = await start({ name: 'exited' })
  await lab.runtime.containers.stop(exited, 0)
  for (const [id, phase] of [
    [created, 'created'],
    [exited, 'exited'],
  ] as const) {
    const refused = { kind: 'failed-precondition', message: `container ${id} is ${phase}, not running` }
    await expect(commands().execSync(id, ['id'], undefined, signal)).rejects.toMatchObject(refused)
    await expect(commands().exec(id, { command: ['id'], tty: false }, streams, signal)).rejects.toMatchObject(
      refused,
    )
    expect(() => commands().executable(id)).toThrow(refused.message)
  }
})

test('a command that fails since its container ends meanwhile says that', async () => {
  const id = await start()
  lab.effects.break('monitor.execStreamed')
  const run = () => commands().exec(id, { command: ['id'], tty: false }, client().streams, signal)
  await expect(run()).rejects.toThrow('was made to fail')
  lab.host.exit(id, 0)
  await expect(run()).rejects.toMatchObject({
    kind: 'failed-precondition',
    message: `container ${id} has ended meanwhile: nothing can be executed in it any more`,
  })
})

test('what fails after its client has gone says so, whatever has become of the container', async () => {
  const id = await start()
  lab.host.exit(id, 0)
  const gone = AbortSignal.abort()
  const run = commands().exec(id, { command: ['id'], tty: false }, client().streams, gone)
  await expect(run).rejects.toMatchObject({ kind: 'cancelled' } satisfies Partial<CriError>)
})

test('an attachment lasts until the container ends, or its client goes', async () => {
  const id = await start({ stdin: true, stdinOnce: true })
  const { stdout, streams } = client()
  const gone = new AbortController()
  const [first, second] = [
    commands().attach(id, streams, signal),
    commands().attach(id, client().streams, gone.signal),
  ]
  gone.abort()
  await second
  lab.host.exit(id, 0)
  await first
  expect(JSON.parse(await text(stdout.end()))).toEqual({ tty: false, stdin: true, stdinOnce: true })
  await quiet()
  await expect(commands().attach(id, client().streams, signal)).rejects.toThrow('is exited, not running')
})

test('one that is not started yet can be attached to', async () => {
  const id = await lab.runtime.containers.create(containerSpec({ sandboxId }))
  expect(commands().attachable(id.slice(0, 12)).id).toBe(id)
})

test("a port is connected to in the pod's network namespace, or on the host where the pod has none", async () => {
  const { metadata } = sandboxSpec()
  const hostId = await lab.runtime.sandboxes.run(
    sandboxSpec({
      metadata: { ...metadata, name: 'host' },
      namespaces: { network: 'node', pid: 'container', ipc: 'pod' },
    }),
  )
  const { network } = lab.host.namespaces.get(sandboxId) ?? {}
  const connection = () => Object.assign(new PassThrough(), { resetAndDestroy: () => undefined })
  const [inPod, onHost] = [connection(), connection()]
  lab.host.listeners.set(`${network}:80`, () => inPod)
  lab.host.listeners.set('host:80', () => onHost)
  expect(await lab.runtime.sandboxes.connect(sandboxId, 80)).toBe(inPod)
  expect(await lab.runtime.sandboxes.connect(hostId, 80)).toBe(onHost)
  await expect(lab.runtime.sandboxes.connect(sandboxId, 81)).rejects.toMatchObject({ kind: 'unavailable' })
})

test('a pod that is stopped, or has lost its namespace, has no ports', async () => {
  lab.host.namespaces.clear()
  await expect(lab.runtime.sandboxes.connect(sandboxId, 80)).rejects.toMatchObject({
    kind: 'failed-precondition',
    message: expect.stringContaining('has lost its network namespace'),
  })
  await lab.runtime.sandboxes.stop(sandboxId)
  await expect(lab.runtime.sandboxes.connect(sandboxId, 80)).rejects.toThrow('is stopped, not ready')
})
