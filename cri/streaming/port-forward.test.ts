import { once } from 'node:events'
import { connect as connectTcp, createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { SpdyClient } from './spdy-client.ts'
import { ask, openWebSocket, spdyHeaders, streamingLab } from './streaming-lab.ts'

const PROTOCOL = 'portforward.k8s.io'
const TUNNEL = 'SPDY/3.1+portforward.k8s.io'
const isReset = (error: unknown): boolean => String(error).includes('reset')

/** A server in the pod that echoes each connection in capitals; `seen` are its ends of them. */
async function pod() {
  const seen: Socket[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    seen.push(socket)
    socket.on('error', () => {})
    socket.on('data', (data) => socket.write(`${data}`.toUpperCase()))
    socket.on('end', () => socket.end())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { readonly port: number }
  const connect = (wanted: number): Promise<Socket> =>
    wanted === 80
      ? new Promise((resolve) => {
          const socket: Socket = connectTcp({ port, host: '127.0.0.1', allowHalfOpen: true }, () =>
            resolve(socket),
          )
        })
      : Promise.reject(new Error(`nobody listens on ${wanted}`))
  return { seen, connect, [Symbol.dispose]: () => void server.close() }
}

async function spdyClient(url: string): Promise<SpdyClient> {
  const { upgraded } = await ask(url, spdyHeaders(PROTOCOL))
  if (upgraded === undefined) throw new Error('not upgraded')
  return new SpdyClient(upgraded.socket)
}

function open(client: SpdyClient, id: string, port = 80) {
  const headers = { port: `${port}`, requestid: id }
  return {
    error: client.open({ streamtype: 'error', ...headers }),
    data: client.open({ streamtype: 'data', ...headers }),
  }
}

test('over SPDY each pair of streams is a connection, whose halves end by themselves', async () => {
  using server = await pod()
  await using lab = await streamingLab({ connect: server.connect })
  const client = await spdyClient(lab.portForwardUrl())
  const [first, second] = [open(client, '0'), open(client, '1')]
  first.data.write('one', true)
  second.data.write('two')
  expect(`${await first.data.ended}`).toBe('ONE')
  expect(await first.error.ended).toHaveLength(0)
  await client.until(() => `${second.data.received}` === 'TWO')
  second.data.end()
  await second.data.ended
})

test('SPDY inside a WebSocket is agreed on under its own name, which is no token of RFC 6455', async () => {
  await using lab = await streamingLab()
  const asked = {
    ...{ Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' },
    ...{ 'Sec-WebSocket-Key': Buffer.alloc(16).toString('base64'), 'Sec-WebSocket-Protocol': TUNNEL },
  }
  const { status, headers, upgraded } = await ask(lab.portForwardUrl(), asked, 'GET')
  expect([status, headers['sec-websocket-protocol']]).toEqual([101, TUNNEL])
  upgraded?.socket.destroy()
})

test('what nobody serves is told on the error stream; a reset of the pod is one of the data stream alone', async () => {
  using server = await pod()
  await using lab = await streamingLab({ connect: server.connect })
  const client = await spdyClient(lab.portForwardUrl())
  const { error, data } = open(client, '0', 81)
  expect(`${await error.ended}`).toContain('error forwarding port 81: nobody listens on 81')
  await expect(data.ended).rejects.toSatisfy(isReset)
  const { error: second, data: cut } = open(client, '1')
  cut.write('a')
  await client.until(() => `${cut.received}` === 'A')
  server.seen[0]?.resetAndDestroy()
  await expect(cut.ended).rejects.toSatisfy(isReset)
  expect(await second.ended).toHaveLength(0)
})

test('a reset of the client arrives in the pod', async () => {
  using server = await pod()
  await using lab = await streamingLab({ connect: server.connect })
  const client = await spdyClient(lab.portForwardUrl())
  const { data } = open(client, '0')
  data.write('a')
  await client.until(() => `${data.received}` === 'A')
  const failed = once(server.seen[0] as Socket, 'error')
  data.reset(5)
  expect(String((await failed)[0])).toContain('ECONNRESET')
})

test('streams without a port or of no known type are refused', async () => {
  await using lab = await streamingLab()
  const client = await spdyClient(lab.portForwardUrl())
  for (const headers of [
    { streamtype: 'data', port: '0' },
    { streamtype: 'data', port: '65536' },
    { streamtype: 'data' },
    { streamtype: 'stdin', port: '80' },
  ]) {
    await expect(client.open(headers as Record<string, string>).replied).rejects.toSatisfy(isReset)
  }
})

test('a client that names no request has its error stream before its data stream', async () => {
  using server = await pod()
  await using lab = await streamingLab({ connect: server.connect })
  const client = await spdyClient(lab.portForwardUrl())
  client.open({ streamtype: 'error', port: '80' })
  const data = client.open({ streamtype: 'data', port: '80' })
  data.write('old', true)
  expect(`${await data.ended}`).toBe('OLD')
})

test('hundreds of connections at once are all served', async () => {
  using server = await pod()
  await using lab = await streamingLab({ connect: server.connect })
  const client = await spdyClient(lab.portForwardUrl())
  const pairs = Array.from({ length: 300 }, (_, index) => open(client, `${index}`))
  pairs.forEach(({ data }, index) => data.write(`n${index}`, true))
  const answers = await Promise.all(pairs.map(({ data }) => data.ended))
  expect(answers.map(String)).toEqual(pairs.map((_, index) => `N${index}`))
})

test.for(['v4.channel.k8s.io', 'v4.base64.channel.k8s.io', ''])(
  'over WebSocket %s each port has a channel for data and one for errors, which begin with its number',
  async (protocol) => {
    using server = await pod()
    await using lab = await streamingLab({ connect: server.connect })
    const client = await openWebSocket(lab.portForwardUrl([80, 81]), protocol)
    client.send(0, 'a')
    await expect.poll(() => client.received(0).slice(2)).toBe('A')
    const numbers = [0, 1, 2, 3].map((channel) =>
      Buffer.concat(client.channels.get(channel) ?? []).readUInt16LE(0),
    )
    expect(numbers).toEqual([80, 80, 81, 81])
    expect(client.received(3).slice(2)).toContain('nobody listens on 81')
    server.seen[0]?.end('bye')
    expect((await client.closed)[0]).toBe(1000)
    expect(client.received(0).slice(2)).toBe('Abye')
  },
)

test('a WebSocket client has to name its ports', async () => {
  await using lab = await streamingLab()
  await expect(openWebSocket(lab.portForwardUrl(), 'v4.channel.k8s.io')).rejects.toThrow('400')
})
