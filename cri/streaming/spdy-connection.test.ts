import { once } from 'node:events'
import { duplexPair } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { SpdyClient } from './spdy-client.ts'
import { SpdyConnection, type SpdyOptions } from './spdy-connection.ts'
import { encodeDataHead, encodeGoAway, encodePing, encodeRstStream } from './spdy-encode.ts'
import { resetStatus, SpdyError, SpdyReset } from './spdy-error.ts'
import type { SpdyStream } from './spdy-stream.ts'

/** Unlike once(), whatever the error. */
const closeOf = (stream: SpdyStream): Promise<void> => new Promise((resolve) => stream.once('close', resolve))

function connect(options: Partial<SpdyOptions> = {}, { head = Buffer.alloc(0) as Buffer } = {}) {
  const [socket, clientSocket] = duplexPair()
  const streams: SpdyStream[] = []
  const connection = new SpdyConnection(socket, head, {
    idleTimeoutMs: 0,
    ...options,
    onStream: (stream) => {
      streams.push(stream)
      return options.onStream?.(stream) ?? true
    },
  })
  const client = new SpdyClient(clientSocket)
  /** Opens a stream and answers both its ends. */
  const open = async () => {
    const remote = client.open()
    await remote.replied
    const stream = streams.at(-1)
    if (stream === undefined) throw new Error('no stream came')
    return { stream, remote }
  }
  return { socket, client, connection, streams, open }
}

test('a stream has its headers, carries data both ways and ends on each side', async () => {
  const { client, streams } = connect({ onStream: (stream) => Boolean(stream.pipe(stream)) })
  const remote = client.open({ streamtype: 'data', port: '80' })
  await remote.replied
  expect(streams[0]?.id).toBe(1)
  expect(streams[0]?.headers).toEqual(
    new Map([
      ['streamtype', 'data'],
      ['port', '80'],
    ]),
  )
  remote.write('hello ')
  remote.write('x'.repeat(300_000))
  remote.end()
  expect(String(await remote.ended)).toBe(`hello ${'x'.repeat(300_000)}`)
  expect(client.frames.some((frame) => frame.type === 'rst-stream')).toBe(false)
})

test('what is written before a stream is taken comes after the reply', async () => {
  const { client } = connect({
    onStream: (stream) => {
      stream.end('early')
      return true
    },
  })
  const remote = client.open()
  expect(String(await remote.ended)).toBe('early')
  await remote.replied
})

test('what came with the upgrade is read first', async () => {
  const { client } = connect({}, { head: encodePing(7) })
  await client.until(() => client.frames.some((frame) => frame.type === 'ping' && frame.id === 7))
})

test('a stream that is not taken is refused without a reply', async () => {
  const { client, streams } = connect({ onStream: () => false })
  const remote = client.open()
  await expect(remote.replied).rejects.toThrow(new SpdyReset(1, resetStatus.refusedStream))
  expect(streams[0]?.destroyed).toBe(true)
})

test('streams over the limit are refused, until others have ended', async () => {
  const { client, open } = connect({ limits: { maxStreams: 2 } })
  const { stream, remote } = await open()
  await open()
  await expect(client.open().replied).rejects.toMatchObject({ status: resetStatus.refusedStream })
  stream.end()
  remote.end()
  await remote.ended
  await open()
})

test('a reset by the client destroys a stream with an error nobody has to listen for', async () => {
  const { client, open } = connect()
  const { stream, remote } = await open()
  const closed = closeOf(stream)
  remote.reset(resetStatus.cancel)
  await closed
  expect(stream.errored).toEqual(new SpdyReset(1, resetStatus.cancel))
  expect(stream.isResetByPeer).toBe(true)
  await client.ping()
  expect(client.frames.filter((frame) => frame.type === 'rst-stream')).toEqual([])
})

test('a reset of ours has its status, destroying a stream means cancel, and neither follows its ends', async () => {
  const { client, open } = connect()
  const [first, second, third] = [await open(), await open(), await open()]
  first.stream.reset(resetStatus.internalError)
  second.stream.end()
  second.stream.destroy()
  third.stream.end()
  third.remote.end()
  await third.remote.ended
  await client.ping()
  third.stream.destroy()
  await client.ping()
  expect(client.frames.filter((frame) => frame.type === 'rst-stream')).toEqual([
    { type: 'rst-stream', id: 1, status: resetStatus.internalError },
    { type: 'rst-stream', id: 3, status: resetStatus.cancel },
  ])
})

test('a stream whose id is even or not the highest is refused, and one that is open ends', async () => {
  const { client, open, streams } = connect()
  await open()
  const { stream } = await open()
  for (const id of [2, 1, 3]) client.send(client.synStream(id))
  await client.ping()
  const resets = client.frames.filter((frame) => frame.type === 'rst-stream')
  expect(resets.map(({ id, status }) => [id, status])).toEqual([2, 1, 3].map((id) => [id, 1]))
  expect(stream.destroyed).toBe(true)
  expect(streams).toHaveLength(2)
})

test('data for a stream that never was is answered, for one that has gone dropped, after its end refused', async () => {
  const { client, open } = connect()
  const gone = await open()
  gone.stream.reset()
  const ended = await open()
  for (const { remote } of [gone, ended]) remote.end()
  ended.stream.resume()
  for (const { remote } of [gone, ended]) remote.write('late')
  client.send(encodeDataHead(5, 0, false))
  client.send(encodeDataHead(2, 0, false))
  client.send(encodeRstStream(99, 1))
  await client.ping()
  expect(client.frames.filter((frame) => frame.type === 'rst-stream').slice(1)).toEqual([
    { type: 'rst-stream', id: 3, status: resetStatus.streamAlreadyClosed },
    { type: 'rst-stream', id: 5, status: resetStatus.invalidStream },
    { type: 'rst-stream', id: 2, status: resetStatus.invalidStream },
  ])
})

test('HEADERS and SYN_STREAM may end the client side', async () => {
  const { client, open, streams } = connect()
  const { stream } = await open()
  client.headers(1, { more: 'headers' })
  client.headers(1, { more: 'headers' }, { fin: true })
  expect(await text(stream)).toBe('')
  await client.open({ x: 'after these' }, { fin: true }).replied
  expect(await text(streams[1] ?? stream)).toBe('')
})

test('a stream in one direction is not answered, and is over when the client ends it', async () => {
  const { client, streams } = connect({ limits: { maxStreams: 1 } })
  client.open({}, { unidirectional: true }).write('data', true)
  client.open({}, { unidirectional: true, fin: true })
  client.open({}, { unidirectional: true, fin: true })
  await client.ping()
  expect(streams.map((stream) => stream.writable)).toEqual([false, false, false])
  expect(streams[0] && (await text(streams[0]))).toBe('data')
  expect(client.frames.map((frame) => frame.type)).toEqual(['ping'])
})

test('pings of the client are answered, answers are not', async () => {
  const { client } = connect()
  client.send(encodePing(2))
  await client.ping(3)
  expect(client.frames).toEqual([{ type: 'ping', id: 3 }])
})

test('after GOAWAY the client has gone and nothing more is read', async () => {
  const { client, connection, open, streams } = connect()
  const { stream } = await open()
  const closed = closeOf(stream)
  client.send(Buffer.concat([encodeGoAway(0, 0), client.synStream(3)]))
  await closed
  expect(connection.gone.reason).toBeInstanceOf(SpdyError)
  expect(stream.errored).toBe(connection.gone.reason)
  expect(streams).toHaveLength(1)
  await connection.close()
  expect(client.frames.at(-1)).toEqual({ type: 'goaway', lastStreamId: 1, status: 0 })
})

test.for<[string, (client: SpdyClient, socket: ReturnType<typeof connect>['socket']) => unknown]>([
  ['ends', (client) => client.socket.end()],
  ['fails', (_, socket) => socket.destroy(new Error('ECONNRESET'))],
  ['closes', (_, socket) => socket.destroy()],
])('the client has gone when its socket %s', async ([, leave]) => {
  const { client, connection, open, socket } = connect()
  const { stream } = await open()
  leave(client, socket)
  await connection.closed
  expect(connection.gone.aborted).toBe(true)
  expect(stream.errored).toBeInstanceOf(SpdyError)
})

test('the client of a socket that was closed before has gone', async () => {
  const [socket] = duplexPair()
  socket.destroy()
  await once(socket, 'close')
  const connection = new SpdyConnection(socket, Buffer.alloc(0), { onStream: () => true, idleTimeoutMs: 0 })
  await connection.closed
  expect(connection.gone.aborted).toBe(true)
})

test.for<[string, string, number]>([
  ['a malformed frame', '800200060000000400000001', 1],
  ['headers that are not compressed', '800300010000001000000003000000000000000000000000', 1],
])('%s is told and ends the connection with its streams', async ([, bytes, status]) => {
  const { client, connection, open } = connect()
  const { stream } = await open()
  client.send(Buffer.from(bytes, 'hex'))
  await client.until(() => client.frames.at(-1)?.type === 'goaway')
  await connection.closed
  expect(client.frames.at(-1)).toEqual({ type: 'goaway', lastStreamId: 1, status })
  expect(stream.errored).toBeInstanceOf(SpdyError)
  expect(connection.gone.reason).toBe(stream.errored)
})

test('a bug of the handler ends the connection, and is its reason', async () => {
  const bug = new Error('bug')
  const { client, connection } = connect({
    onStream: () => {
      throw bug
    },
  })
  client.open()
  await connection.closed
  expect(connection.gone.reason).toBe(bug)
  expect(client.frames.at(-1)).toMatchObject({ type: 'goaway', status: 2 })
})
