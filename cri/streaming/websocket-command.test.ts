import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { CriError } from '#lib/errors.ts'
import { openWebSocket, streamingLab } from './streaming-lab.ts'

const V4 = 'v4.channel.k8s.io'

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

test('what comes together with the request is not lost, and nonsense is no harm', async () => {
  await using lab = await streamingLab({
    async exec({ stdin, stdout }) {
      for await (const chunk of stdin ?? []) stdout?.write(chunk)
      return 0
    },
    connect: () => Promise.reject(new Error('nobody')),
  })
  const mask = Buffer.alloc(4)
  const frame = (payload: readonly number[]) =>
    Buffer.from([0x82, 0x80 | payload.length, ...mask, ...payload])
  const hello = Buffer.concat([frame([0, ...Buffer.from('hello')]), frame([255, 0])])
  const answer = await upgradeWith(lab.execUrl({ stdin: true, stdout: true }), 'v5.channel.k8s.io', hello)
  expect(answer).toContain('hello')
  const nonsense = Buffer.from('ffffffff0000', 'hex')
  for (const [url, protocol] of [
    [lab.execUrl(), 'v5.channel.k8s.io'],
    [lab.portForwardUrl([80]), 'v4.channel.k8s.io'],
    [lab.portForwardUrl(), 'SPDY/3.1+portforward.k8s.io'],
  ] as const) {
    await upgradeWith(url, protocol, nonsense)
  }
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

/** All that a server answers to a request with bytes right behind it, until it closes. */
async function upgradeWith(url: string, protocol: string, behind: Buffer): Promise<string> {
  const { hostname: host, port, pathname } = new URL(url)
  const socket = connect({ host, port: Number(port) })
  const lines = [
    ...[`GET ${pathname} HTTP/1.1`, `Host: ${host}`, 'Connection: Upgrade', 'Upgrade: websocket'],
    ...['Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}`],
    `Sec-WebSocket-Protocol: ${protocol}`,
  ]
  socket.write(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), behind]))
  let all = ''
  socket.on('data', (data) => {
    all += data.toString('latin1')
    if (all.includes('"Success"')) socket.destroy()
  })
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('close', resolve))
  return all
}

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
