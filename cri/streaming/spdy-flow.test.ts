import { duplexPair } from 'node:stream'
import { expect, test } from 'vitest'
import { SpdyClient } from './spdy-client.ts'
import { SpdyConnection, type SpdyLimits } from './spdy-connection.ts'
import { encodeDataHead, encodeSettings, encodeWindowUpdate } from './spdy-encode.ts'
import { FrameReader, INITIAL_WINDOW_SETTING } from './spdy-frames.ts'
import type { SpdyStream } from './spdy-stream.ts'

const WINDOW = 64 * 1024
const settings = (bytes: number): Buffer => encodeSettings(new Map([[INITIAL_WINDOW_SETTING, bytes]]))

function connect(limits: Partial<SpdyLimits> = {}, isTaken: () => boolean = () => true) {
  const [socket, clientSocket] = duplexPair()
  const streams: SpdyStream[] = []
  const connection = new SpdyConnection(socket, Buffer.alloc(0), {
    idleTimeoutMs: 0,
    limits,
    onStream: (stream) => {
      streams.push(stream)
      return isTaken()
    },
  })
  const client = new SpdyClient(clientSocket)
  const open = async () => {
    const remote = client.open()
    await remote.replied
    const stream = streams.at(-1)
    if (stream === undefined) throw new Error('no stream came')
    return { stream, remote }
  }
  return { socket, client, connection, open }
}

/** Sends in pieces as a socket would, until the server takes no more or all is sent. */
async function pour(client: SpdyClient, bytes: Buffer, until: () => boolean): Promise<void> {
  for (let at = 0; at < bytes.length && !until(); at += WINDOW) {
    client.send(bytes.subarray(at, at + WINDOW))
    await settle()
  }
}

/** Lets everything that can go on go on. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

test('a client that says nothing of windows is sent everything, in frames of 64 KiB at most', async () => {
  const { client, open } = connect()
  const { stream, remote } = await open()
  const lengths: number[] = []
  const reader = new FrameReader()
  client.socket.on('data', (chunk) => lengths.push(...[...reader.push(chunk)].map(() => chunk.length)))
  stream.end(Buffer.alloc(WINDOW * 10 + 1))
  expect(await remote.ended).toHaveLength(WINDOW * 10 + 1)
  expect(Math.max(...lengths)).toBe(WINDOW)
})

test('a client that has set a window is sent as much, then as much as it gives', async () => {
  const { client, open } = connect()
  const { stream, remote } = await open()
  client.send(settings(100_000))
  await client.ping()
  stream.end(Buffer.alloc(200_000))
  await client.ping()
  expect(remote.received).toHaveLength(100_000)
  client.send(encodeWindowUpdate(1, 50_000))
  await client.ping()
  expect(remote.received).toHaveLength(150_000)
  client.send(settings(110_000))
  await client.ping()
  expect(remote.received).toHaveLength(160_000)
  client.send(encodeWindowUpdate(1, 1 << 20))
  expect(await remote.ended).toHaveLength(200_000)
})

test('a smaller window than was used makes the stream wait for the difference', async () => {
  const { client, open } = connect()
  const { stream, remote } = await open()
  stream.write(Buffer.alloc(50_000))
  await client.ping()
  client.send(settings(10_000))
  await client.ping()
  stream.end('x')
  client.send(encodeWindowUpdate(1, 40_000))
  await client.ping()
  expect(remote.received).toHaveLength(50_000)
  client.send(encodeWindowUpdate(1, 1))
  expect(await remote.ended).toHaveLength(50_001)
})

test('the window of the connection binds all its streams', async () => {
  const { client, open } = connect()
  const [one, two] = [await open(), await open()]
  client.send(encodeWindowUpdate(0, 1000))
  await client.ping()
  one.stream.end(Buffer.alloc(WINDOW))
  two.stream.end(Buffer.alloc(2000))
  await client.ping()
  expect(two.remote.received).toHaveLength(1000)
  client.send(encodeWindowUpdate(0, 1000))
  expect(await two.remote.ended).toHaveLength(2000)
})

test.for<[string, Buffer[]]>([
  ['of a stream', [encodeWindowUpdate(1, 0x7fff_ffff)]],
  ['of the connection', [encodeWindowUpdate(0, 0x7fff_ffff)]],
  ['for new streams', [settings(0x8000_0000)]],
  ['of a stream by settings', [encodeWindowUpdate(1, 0x7fff_0000 - 1), settings(WINDOW * 2)]],
])('a window %s over 2 GiB ends the connection', async ([, frames]) => {
  const { client, connection, open } = connect()
  await open()
  for (const frame of frames) client.send(frame)
  await connection.closed
  expect(client.frames.at(-1)).toMatchObject({ type: 'goaway', status: 1 })
})

test('a client that keeps to its windows is told of what was consumed', async () => {
  const { client, open } = connect()
  const { stream, remote } = await open()
  remote.write(Buffer.alloc(WINDOW))
  await client.ping()
  const updates = () => client.frames.filter((frame) => frame.type === 'window-update')
  expect(updates()).toEqual([])
  stream.read(WINDOW / 4)
  stream.read(WINDOW / 4)
  await client.ping()
  expect(updates().map(({ id, deltaBytes }) => [id, deltaBytes])).toEqual([
    [0, WINDOW / 2],
    [1, WINDOW / 2],
  ])
  stream.resume()
  await settle()
  expect(updates()).toHaveLength(4)
})

test('a client that does not keep to its windows is told nothing', async () => {
  const { client, open } = connect()
  const { stream, remote } = await open()
  remote.write(Buffer.alloc(WINDOW + 1))
  await client.ping()
  stream.resume()
  remote.write(Buffer.alloc(WINDOW))
  await settle()
  await client.ping()
  expect(client.frames.filter((frame) => frame.type === 'window-update')).toEqual([])
})

test('a stream that nobody reads stops the client, until half of the limit is read', async () => {
  const { client, open, socket } = connect({ streamBufferBytes: WINDOW * 4 })
  const { stream } = await open()
  const frame = Buffer.concat([encodeDataHead(1, WINDOW * 20, false), Buffer.alloc(WINDOW * 20)])
  await pour(client, frame, () => socket.isPaused())
  expect(stream.readableLength).toBeGreaterThan(WINDOW * 3)
  expect(stream.readableLength).toBeLessThanOrEqual(WINDOW * 5)
  stream.read(WINDOW)
  expect(socket.isPaused()).toBe(true)
  stream.read(WINDOW * 2)
  expect(socket.isPaused()).toBe(false)
})

test('a stream that is destroyed stops nobody', async () => {
  const { client, open, socket } = connect({ streamBufferBytes: WINDOW })
  const { stream, remote } = await open()
  remote.write(Buffer.alloc(WINDOW * 2))
  await settle()
  expect(socket.isPaused()).toBe(true)
  stream.destroy()
  await client.ping()
})

test('all streams together stop the client', async () => {
  const { client, open, socket } = connect({ connectionBufferBytes: WINDOW * 2 })
  const [one, two, three] = [await open(), await open(), await open()]
  for (const { remote } of [one, two]) remote.write(Buffer.alloc(WINDOW))
  await settle()
  expect(socket.isPaused()).toBe(true)
  one.stream.resume()
  await settle()
  expect(socket.isPaused()).toBe(false)
  three.remote.write('x')
  await client.ping()
})

test('many small pieces are worth more than their bytes', async () => {
  const { client, open, socket } = connect({ streamBufferBytes: WINDOW })
  const { stream } = await open()
  const piece = Buffer.concat([encodeDataHead(1, 1, false), Buffer.from('x')])
  const pieces = Buffer.concat(Array.from({ length: 1000 }, () => piece))
  for (let round = 0; round < 100 && !socket.isPaused(); round += 1) {
    client.send(pieces)
    await settle()
  }
  expect(stream.readableLength).toBeLessThan(10_000)
  stream.resume()
  await settle()
  expect(socket.isPaused()).toBe(false)
  await client.ping()
})

test('streams take turns when the client is slow', async () => {
  const { client, open } = connect()
  const [one, two] = [await open(), await open()]
  client.socket.pause()
  for (const { stream } of [one, two]) stream.end(Buffer.alloc(WINDOW * 4))
  const order: number[] = []
  const reader = new FrameReader()
  client.socket.on('data', (chunk) => {
    for (const frame of reader.push(chunk)) if (frame.type === 'data' && !frame.fin) order.push(frame.id)
  })
  client.socket.resume()
  await Promise.all([one.remote.ended, two.remote.ended])
  expect(order).toEqual([1, 3, 1, 3, 1, 3, 1, 3])
})
