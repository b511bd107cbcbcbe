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

test.for(['v5.channel.k8s.io', 'v4.channel.k8s.io', 'v4.base64.channel.k8s.io'])(
  'over WebSocket %s carries the streams by number, and the outcome as JSON on 3',
  async (protocol) => {
    await using lab = await streamingLab({
      async exec({ stdin, stdout, stderr }) {
        const [first] = await Array.fromAsync(take(stdin, 1))
        stdout?.write(`got ${first}`)
        stderr?.write('wrong')
        return 0
      },
    })
    const client = await openWebSocket(lab.execUrl({ stdin: true, stdout: true, stderr: true }), protocol)
    expect(client.socket.protocol).toBe(protocol)
    client.send(0, 'typed')
    expect((await client.closed)[0]).toBe(1000)
    expect([client.received(1), client.received(2)]).toEqual(['got typed', 'wrong'])
    expect(JSON.parse(client.received(3))).toEqual({ metadata: {}, status: 'Success' })
    expect(client.channels.get(1)?.[0]).toHaveLength(0) // What tells the client that it is served.
  },
)

test.for(['channel.k8s.io', 'base64.channel.k8s.io', ''])(
  'over WebSocket %s carries a failure as text, and nothing of a success',
  async (protocol) => {
    let outcome: () => Promise<number> = async () => 0
    await using lab = await streamingLab({ exec: () => outcome() })
    const success = await openWebSocket(lab.execUrl(), protocol)
    await success.closed
    expect(success.received(3)).toBe('')
    outcome = () => Promise.reject(new CriError('failed-precondition', 'container c1 has ended'))
    const failure = await openWebSocket(lab.execUrl(), protocol)
    await failure.closed
    expect(failure.received(3)).toMatch(/container c1 has ended/)
  },
)

test('v5 of WebSocket ends the input alone; nothing else does before the connection ends', async () => {
  await using lab = await streamingLab({
    async exec({ stdin, stdout }) {
      for await (const chunk of stdin ?? []) stdout?.write(chunk)
      stdout?.write(' and more')
      return 0
    },
  })
  const client = await openWebSocket(lab.execUrl({ stdin: true, stdout: true }), 'v5.channel.k8s.io')
  client.send(0, 'input')
  client.endInput(0)
  await client.closed
  expect(client.received(1)).toBe('input and more')

  const wrong = await openWebSocket(lab.execUrl({ stdin: true, stdout: true }), 'v5.channel.k8s.io')
  wrong.endInput(77)
  expect((await wrong.closed)[0]).toBe(1002)
})

test('the sizes of a terminal are heard on channel 4', async () => {
  const sizes: unknown[] = []
  const heard = Promise.withResolvers<void>()
  await using lab = await streamingLab({
    async exec({ onResize }) {
      onResize((size) => {
        sizes.push(size)
        heard.resolve()
      })
      await heard.promise
      return 0
    },
  })
  const client = await openWebSocket(lab.execUrl({ stdout: true, tty: true }), V4)
  client.send(4, '{"Width":100,"Height":40}')
  await client.closed
  expect(sizes).toEqual([{ columns: 100, rows: 40 }])
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
  await expect.poll(() => lab.lines.map(({ message }) => message)).toContain('the client of a command or container has gone')
})

test('a WebSocket client that does not read stops the command, one that writes too much is stopped', async () => {
  let written = 0
  let taken = 0
  await using lab = await streamingLab({
    async exec({ stdin, stdout }, gone) {
      stdin?.once('data', (chunk: Buffer) => {
        taken += chunk.length
        stdin.pause()
      })
      while (stdout?.write(Buffer.alloc(64 << 10))) written += 64 << 10
      return until(gone)
    },
  })
  const client = await openWebSocket(lab.execUrl({ stdin: true, stdout: true }), V4)
  client.socket.pause()
  for (let index = 0; index < 200; index += 1) client.send(0, 'x'.repeat(64 << 10))
  await expect.poll(() => written).toBeLessThan(8 << 20)
  await expect.poll(() => taken).toBeGreaterThan(0)
  expect(client.socket.bufferedAmount).toBeGreaterThan(1 << 20)
  client.socket.terminate()
})

test('a message that is too big ends the connection', async () => {
  await using lab = await streamingLab({ exec: (_streams, gone) => until(gone) })
  const client = await openWebSocket(lab.execUrl({ stdin: true }), V4)
  client.socket.send(Buffer.alloc((16 << 20) + 1))
  expect((await client.closed)[0]).toBe(1009)
})

test('a session on which nothing happens is ended after the idle timeout', async () => {
  await using lab = await streamingLab({ idleTimeoutMs: 50, exec: (_streams, gone) => until(gone) })
  const client = await openWebSocket(lab.execUrl(), V4)
  expect((await client.closed)[0]).toBe(1006)
  const { upgraded } = await ask(lab.execUrl(), spdyHeaders(V4))
  if (upgraded === undefined) return expect.unreachable()
  await new Promise((resolve) => upgraded.socket.resume().once('close', resolve))
})

test('the end of the server ends every session', async () => {
  const went = Promise.withResolvers<void>()
  const lab = await streamingLab({
    async attach(_streams, gone) {
      await until(gone)
      went.resolve()
    },
  })
  const client = await openWebSocket(lab.attachUrl(), V4)
  await lab[Symbol.asyncDispose]()
  await went.promise
  expect((await client.closed)[0]).toBe(1006)
})

test('an address that is taken or not there is refused by the keys to set', async () => {
  await using lab = await streamingLab()
  const port = Number(new URL(lab.execUrl()).port)
  await expect(streamingLab({ port })).rejects.toMatchObject({
    kind: 'unavailable',
    message: expect.stringContaining('set streaming.address and streaming.port'),
  })
})

test('who is to listen on every address is reached by loopback', async () => {
  await using lab = await streamingLab({ address: '0.0.0.0' })
  expect(new URL(lab.execUrl()).hostname).toBe('127.0.0.1')
})

const until = (signal: AbortSignal): Promise<number> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(0)
    else signal.addEventListener('abort', () => resolve(0))
  })

async function* take<Item>(items: AsyncIterable<Item> | undefined, count: number): AsyncGenerator<Item> {
  if (items === undefined) return
  for await (const item of items) {
    yield item
    if (--count === 0) return
  }
}
