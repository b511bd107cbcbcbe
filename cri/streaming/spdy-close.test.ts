import { once } from 'node:events'
import { duplexPair } from 'node:stream'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { SpdyClient } from './spdy-client.ts'
import { SpdyConnection } from './spdy-connection.ts'
import { resetStatus } from './spdy-error.ts'
import type { SpdyStream } from './spdy-stream.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})

afterEach(() => {
  vi.useRealTimers()
})

async function connect({ lingers = false, idleTimeoutMs = 0 } = {}) {
  const [socket, clientSocket] = duplexPair()
  const streams: SpdyStream[] = []
  const connection = new SpdyConnection(socket, Buffer.alloc(0), {
    idleTimeoutMs,
    onStream: (stream) => streams.push(stream) > 0,
  })
  const client = new SpdyClient(clientSocket, lingers)
  const remote = client.open()
  await remote.replied
  const stream = streams[0]
  if (stream === undefined) throw new Error('no stream came')
  return { socket, client, connection, stream, remote }
}

test('closing sends all that was written, then GOAWAY, then the end', async () => {
  const { client, connection, stream, remote } = await connect()
  const long = 'x'.repeat(1 << 20)
  stream.write(long)
  stream.end('the end')
  await connection.close()
  expect(String(await remote.ended)).toBe(`${long}the end`)
  expect(client.frames.at(-1)).toEqual({ type: 'goaway', lastStreamId: 1, status: 0 })
  expect(connection.gone.aborted).toBe(true)
  expect(vi.getTimerCount()).toBe(0)
})

test('closing sends what a stream has written that did not end', async () => {
  const { connection, stream, remote } = await connect()
  stream.write('x'.repeat(1 << 20))
  await connection.close()
  expect(remote.received).toHaveLength(1 << 20)
  expect(stream.destroyed).toBe(true)
})

test('closing twice is closing once', async () => {
  const { client, connection } = await connect()
  expect(connection.close()).toBe(connection.close())
  await connection.close()
  expect(client.frames.filter((frame) => frame.type === 'goaway')).toHaveLength(1)
})

test('while it closes no stream is taken and data is dropped, also what a full stream would have stopped', async () => {
  const { client, connection, stream, remote } = await connect()
  remote.write('x'.repeat(3 << 20))
  await vi.waitFor(() => expect(stream.readableLength).toBeGreaterThan(1 << 20))
  stream.write('y'.repeat(1 << 20))
  const closed = connection.close()
  const late = client.open()
  await expect(late.replied).rejects.toThrow()
  await closed
  expect(remote.received).toHaveLength(1 << 20)
})

test('a client that does not close is dropped once it has been silent for 30 s', async () => {
  const { client, connection, socket } = await connect({ lingers: true })
  const closed = connection.close()
  await client.until(() => client.frames.at(-1)?.type === 'goaway')
  await once(client.socket, 'end')
  for (let typed = 0; typed < 3; typed += 1) {
    await vi.advanceTimersByTimeAsync(29_999)
    expect(socket.destroyed).toBe(false)
    client.send(Buffer.from('what comes now is dropped'))
    await new Promise((resolve) => setImmediate(resolve))
  }
  await vi.advanceTimersByTimeAsync(30_000)
  await closed
})

test('a client that is never silent is dropped ten minutes after the end', async () => {
  const { client, connection, socket } = await connect({ lingers: true })
  const closed = connection.close()
  await client.until(() => client.frames.at(-1)?.type === 'goaway')
  await once(client.socket, 'end')
  for (let passedMs = 0; passedMs < 600_000; passedMs += 20_000) {
    expect(socket.destroyed).toBe(false)
    client.send(Buffer.from('x'))
    await new Promise((resolve) => setImmediate(resolve))
    await vi.advanceTimersByTimeAsync(20_000)
  }
  await closed
})

test('a client whose input waits is written to, since its end would wait behind that', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  const { client, connection, remote, stream } = await connect()
  await vi.advanceTimersByTimeAsync(5_000)
  await client.ping()
  const pings = () => client.frames.filter((frame) => frame.type === 'ping' && frame.id % 2 === 0).length
  expect(pings()).toBe(0)
  remote.write('x'.repeat(3 << 20))
  await vi.waitFor(() => expect(stream.readableLength).toBeGreaterThan(1 << 20))
  await vi.advanceTimersByTimeAsync(10_000)
  await client.until(() => pings() === 2)
  connection.destroy()
})

test('a client that reads nothing is dropped once nothing moves for 30 s', async () => {
  const { client, connection, stream } = await connect()
  client.socket.pause()
  stream.end('x'.repeat(1 << 20))
  const closed = connection.close()
  await vi.advanceTimersByTimeAsync(30_000)
  await closed
  expect(stream.destroyed).toBe(true)
})

test('a client that neither sends nor is sent anything for the idle timeout has gone', async () => {
  const { client, connection, stream, remote } = await connect({ idleTimeoutMs: 1000 })
  await vi.advanceTimersByTimeAsync(999)
  await client.ping()
  await vi.advanceTimersByTimeAsync(999)
  stream.write('x')
  await vi.advanceTimersByTimeAsync(999)
  expect(connection.gone.aborted).toBe(false)
  const reset = expect(remote.ended).rejects.toThrow()
  await vi.advanceTimersByTimeAsync(1)
  expect(connection.gone.reason).toMatchObject({ message: 'nothing was received or sent for 1000 ms' })
  await connection.closed
  await reset
  expect(client.frames.at(-1)).toMatchObject({ type: 'goaway' })
  expect(vi.getTimerCount()).toBe(0)
})

test('a closed connection cannot be written to, and says so', async () => {
  const { connection, stream } = await connect()
  connection.destroy()
  await connection.closed
  stream.reset(resetStatus.cancel)
  await new Promise<void>((resolve) => {
    stream.write('x', (error) => {
      expect(error).toBeInstanceOf(Error)
      resolve()
    })
  })
})
