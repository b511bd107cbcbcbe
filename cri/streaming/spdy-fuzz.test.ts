import { duplexPair } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SpdyClient } from './spdy-client.ts'
import { SpdyConnection } from './spdy-connection.ts'
import * as encode from './spdy-encode.ts'
import { SpdyError } from './spdy-error.ts'
import { HeaderCompressor } from './spdy-headers.ts'

/** Lets everything that can go on go on. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** No headers, as an uncompressed block: it may come at any place but the first. */
const noHeaders = Buffer.from('000400fbff00000000', 'hex')

test.for<[string, (turn: number) => Buffer]>([
  ['pings', () => encode.encodePing(1)],
  ['streams that are refused', (turn) => encode.encodeSynStream(turn * 2 + 3, noHeaders)],
  ['data for no stream', () => encode.encodeDataHead(999_999, 0, false)],
])('a client that reads nothing cannot grow the heap: %s', { timeout: 30_000 }, async ([, frameOf]) => {
  const [socket, clientSocket] = duplexPair()
  const connection = new SpdyConnection(socket, Buffer.alloc(0), { onStream: () => false, idleTimeoutMs: 0 })
  const client = new SpdyClient(clientSocket)
  clientSocket.pause()
  client.open()
  let turn = 0
  const flood = async (): Promise<void> => {
    client.send(Buffer.concat(Array.from({ length: 2000 }, () => frameOf(turn++))))
    await settle()
  }
  for (let round = 0; round < 40 && !socket.isPaused(); round += 1) await flood()
  expect(socket.isPaused()).toBe(true)
  await flood()
  expect(socket.writableLength).toBeLessThan(256 * 1024)
  clientSocket.resume()
  await settle()
  expect(socket.isPaused()).toBe(false)
  await client.ping()
  connection.destroy()
  await connection.closed
})

const compressor = (): ((id: number) => Buffer) => {
  const headers = new HeaderCompressor()
  return (id) => encode.encodeSynStream(id, headers.compress(new Map([['streamtype', 'data']])))
}

type Step = (synStream: (id: number) => Buffer) => Buffer
const id = fc.integer({ min: 0, max: 9 })
const word = fc.integer({ min: 0, max: 0x7fff_ffff })
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  id.map(
    (n): Step =>
      (synStream) =>
        synStream(n),
  ),
  fc.tuple(id, fc.uint8Array({ maxLength: 30 }), fc.boolean()).map(
    ([n, data, fin]): Step =>
      () =>
        Buffer.concat([encode.encodeDataHead(n, data.length, fin), data]),
  ),
  fc.tuple(id, word).map(
    ([n, delta]): Step =>
      () =>
        encode.encodeWindowUpdate(n, delta),
  ),
  fc.tuple(id, word).map(
    ([n, status]): Step =>
      () =>
        encode.encodeRstStream(n, status),
  ),
  word.map(
    (bytes): Step =>
      () =>
        encode.encodeSettings(new Map([[7, bytes]])),
  ),
  word.map(
    (n): Step =>
      () =>
        encode.encodePing(n),
  ),
  fc.constant<Step>(() => encode.encodeGoAway(0, 0)),
  fc.uint8Array({ maxLength: 20 }).map(
    (bytes): Step =>
      () =>
        Buffer.from(bytes),
  ),
)

test('whatever comes, in whatever pieces, the connection answers or ends with a SpdyError, and closes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyStep, { maxLength: 30 }),
      fc.integer({ min: 1, max: 40 }),
      fc.boolean(),
      async (steps, pieceBytes, echoes) => {
        const [socket, clientSocket] = duplexPair()
        clientSocket.on('error', () => {}).resume()
        clientSocket.once('end', () => clientSocket.end())
        const connection = new SpdyConnection(socket, Buffer.alloc(0), {
          idleTimeoutMs: 0,
          onStream: (stream) => {
            if (echoes) stream.pipe(stream)
            return stream.id !== 5
          },
        })
        const synStream = compressor()
        const bytes = Buffer.concat(steps.map((step) => step(synStream)))
        for (let at = 0; at < bytes.length; at += pieceBytes)
          clientSocket.write(bytes.subarray(at, at + pieceBytes))
        await settle()
        const closed = connection.close()
        clientSocket.end()
        await closed
        expect(connection.gone.reason).toBeInstanceOf(SpdyError)
      },
    ),
    { numRuns: 200 },
  )
})
