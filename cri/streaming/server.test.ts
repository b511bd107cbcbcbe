import { expect, test } from 'vitest'
import { CriError } from '#lib/errors.ts'
import { SpdyClient } from './spdy-client.ts'
import { ask, openWebSocket, spdyHeaders, streamingLab } from './streaming-lab.ts'

const V4 = 'v4.channel.k8s.io'

test('a URL is good once, and only for what it was given for', async () => {
  await using lab = await streamingLab()
  const url = lab.execUrl()
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/exec\/[\w-]{22}$/)
  const wrongKind = lab.execUrl().replace('/exec/', '/attach/')
  expect((await ask(wrongKind, spdyHeaders(V4))).status).toBe(404)
  expect((await ask(url, spdyHeaders(V4))).status).toBe(101)
  const again = await ask(url, spdyHeaders(V4))
  expect([again.status, again.body]).toEqual([404, expect.stringContaining('good once, for a minute')])
  expect((await ask(`${new URL(url).origin}/exec/..%2f`, spdyHeaders(V4))).status).toBe(404)
})

test('who asks for no upgrade, or for another, is told what is served', async () => {
  await using lab = await streamingLab()
  const plain = await ask(lab.execUrl())
  expect([plain.status, plain.body]).toEqual([400, expect.stringContaining('SPDY/3.1 or websocket')])
  const http2 = await ask(lab.execUrl(), { Connection: 'Upgrade', Upgrade: 'h2c' })
  expect([http2.status, http2.body]).toEqual([400, expect.stringContaining('"h2c"')])
})

test('a protocol that is not served is refused with those that are', async () => {
  await using lab = await streamingLab()
  const { status, headers, body } = await ask(lab.execUrl(), spdyHeaders('v9.channel.k8s.io'))
  expect([status, headers['x-accepted-stream-protocol-versions']]).toEqual([
    403,
    'v4.channel.k8s.io, v3.channel.k8s.io, v2.channel.k8s.io, channel.k8s.io',
  ])
  expect(body).toContain('v9.channel.k8s.io')
  await expect(openWebSocket(lab.execUrl(), 'v9.channel.k8s.io')).rejects.toThrow('403')
  expect((await ask(lab.execUrl(), { Connection: 'Upgrade', Upgrade: 'SPDY/3.1' })).status).toBe(403)
})

test("the first of the client's protocols that is served is chosen", async () => {
  await using lab = await streamingLab()
  const { headers } = await ask(lab.execUrl(), spdyHeaders(`v9.channel.k8s.io, v3.channel.k8s.io,${V4}`))
  expect(headers['x-stream-protocol-version']).toBe('v3.channel.k8s.io')
})

test('over SPDY a command runs once all its streams are there; the outcome is the last it says', async () => {
  await using lab = await streamingLab({
    async exec({ stdin, stdout, stderr }, _gone, command) {
      stdout?.write(`${command} `)
      for await (const chunk of stdin ?? []) stdout?.write(chunk)
      stderr?.write('wrong')
      return 3
    },
  })
  const { upgraded } = await ask(lab.execUrl({ stdin: true, stdout: true, stderr: true }), spdyHeaders(V4))
  if (upgraded === undefined) return expect.unreachable()
  const client = new SpdyClient(upgraded.socket)
  const [error, stdin, stdout, stderr] = ['error', 'stdin', 'stdout', 'stderr'].map((streamtype) =>
    client.open({ streamtype }),
  )
  stdin?.write('typed', true)
  expect(JSON.parse(`${await error?.ended}`)).toMatchObject({ details: { causes: [{ message: '3' }] } })
  expect([`${await stdout?.ended}`, `${await stderr?.ended}`]).toEqual(['run typed', 'wrong'])
  await client.until(() => client.frames.some(({ type }) => type === 'goaway'))
  expect(lab.lines).toContainEqual(
    expect.objectContaining({ kind: 'exec', containerId: 'c1', protocol: V4, exitCode: 3 }),
  )
})

test('over SPDY a stream that was not asked for is refused', async () => {
  await using lab = await streamingLab({ exec: (_streams, gone) => until(gone) })
  const { upgraded } = await ask(lab.execUrl(), spdyHeaders(V4))
  if (upgraded === undefined) return expect.unreachable()
  const client = new SpdyClient(upgraded.socket)
  await client.open({ streamtype: 'error' }).replied
  await expect(client.open({ streamtype: 'stdin' }).replied).rejects.toThrow()
  await expect(client.open({}).replied).rejects.toThrow()
  await client.open({ streamtype: 'stdout' }).replied
  await expect(client.open({ streamtype: 'stdout' }).replied).rejects.toThrow()
})

test.for(['spdy', 'websocket'])('a client of %s that goes is known to be gone', async (transport) => {
  const went = Promise.withResolvers<void>()
  await using lab = await streamingLab({
    async exec(_streams, gone) {
      await until(gone)
      went.resolve()
      throw new CriError('cancelled', 'gone')
    },
  })
  if (transport === 'websocket') (await openWebSocket(lab.execUrl(), V4)).socket.terminate()
  else {
    const { upgraded } = await ask(lab.execUrl(), spdyHeaders(V4))
    if (upgraded === undefined) return expect.unreachable()
    const client = new SpdyClient(upgraded.socket)
    for (const streamtype of ['error', 'stdout']) await client.open({ streamtype }).replied
    upgraded.socket.destroy()
  }
  await went.promise
  await expect
    .poll(() => lab.lines.map(({ message }) => message))
    .toContain('the client of a command or container has gone')
})

test.for(['spdy', 'websocket'])(
  'a session of %s on which nothing happens is ended, and its client told',
  async (transport) => {
    await using lab = await streamingLab({ idleTimeoutMs: 50, exec: (_streams, gone) => until(gone) })
    expect(await outcomeOf(lab.execUrl(), transport)).toMatch(/Failure.*streaming\.idle_timeout has ended/)
  },
)

test('a client that never opens its streams is dropped after the idle timeout', async () => {
  await using lab = await streamingLab({ idleTimeoutMs: 50 })
  const { upgraded } = await ask(lab.execUrl(), spdyHeaders(V4))
  await new Promise((resolve) => upgraded?.socket.resume().once('close', resolve))
})

test.for(['spdy', 'websocket'])(
  'the end of the server ends every session of %s, and its client is told',
  async (transport) => {
    const began = Promise.withResolvers<void>()
    const lab = await streamingLab({
      async attach(_streams, gone) {
        began.resolve()
        await until(gone)
      },
    })
    const outcome = outcomeOf(lab.attachUrl(), transport, ['stdin', 'stdout', 'stderr'])
    await began.promise
    await lab[Symbol.asyncDispose]()
    expect(await outcome).toMatch(/Failure.*error attaching to container: cri-ts is stopping/)
  },
)

test('an address that is taken or not there is refused by the key to set', async () => {
  await using lab = await streamingLab()
  const port = Number(new URL(lab.execUrl()).port)
  await expect(streamingLab({ port })).rejects.toMatchObject({
    kind: 'unavailable',
    message: expect.stringContaining('set streaming.port to one that is free'),
  })
  await expect(streamingLab({ address: '192.0.2.1' })).rejects.toThrow('set streaming.address')
})

test('who is to listen on every address is reached by loopback', async () => {
  await using lab = await streamingLab({ address: '0.0.0.0' })
  expect(new URL(lab.execUrl()).hostname).toBe('127.0.0.1')
})

/** What a client is told at the end. */
async function outcomeOf(url: string, transport: string, streams = ['stdout']): Promise<string> {
  if (transport === 'websocket') {
    const client = await openWebSocket(url, V4)
    await client.closed
    return client.received(3)
  }
  const { upgraded } = await ask(url, spdyHeaders(V4))
  if (upgraded === undefined) throw new Error('not upgraded')
  const client = new SpdyClient(upgraded.socket)
  const error = client.open({ streamtype: 'error' })
  for (const streamtype of streams) client.open({ streamtype })
  return `${await error.ended}`
}

const until = (signal: AbortSignal): Promise<number> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(0)
    else signal.addEventListener('abort', () => resolve(0))
  })
