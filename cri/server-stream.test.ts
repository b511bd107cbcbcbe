import { EventEmitter } from 'node:events'
import { type ServerWritableStream, status } from '@grpc/grpc-js'
import { expect, test } from 'vitest'
import { CriError } from '#lib/errors.ts'
import { recordingLog } from './recording-log.ts'
import { type StreamHandler, serverStream } from './server-stream.ts'

interface Item {
  readonly n: number
}

/** A stream whose reader takes one message and then is full until it drains. */
class Reader extends EventEmitter {
  readonly request = {}
  readonly received: Item[] = []
  readonly #ended = Promise.withResolvers<unknown>()
  readonly ended = this.#ended.promise

  constructor() {
    super()
    this.on('error', (error: unknown) => this.#ended.resolve(error))
  }

  write(item: Item): boolean {
    this.received.push(item)
    return false
  }

  end(): void {
    this.#ended.resolve('end')
  }

  /** Takes messages as they come until the stream has ended. */
  async drain(): Promise<unknown> {
    let outcome: unknown
    void this.ended.then((end) => {
      outcome = end
    })
    while (outcome === undefined) {
      this.emit('drain')
      await Promise.resolve()
    }
    return outcome
  }
}

function serve(handle: StreamHandler<object, Item>) {
  const { lines, log } = recordingLog()
  const reader = new Reader()
  serverStream(
    'StreamThings',
    handle,
    (item) => item,
    log,
  )(reader as unknown as ServerWritableStream<object, Item>)
  return { lines, reader }
}

function* items(): Generator<Item> {
  for (let n = 1; n <= 3; n += 1) yield { n }
}

test('every message is written, and the stream ends with one line of log', async () => {
  const { lines, reader } = serve(items)
  expect(await reader.drain()).toBe('end')
  expect(reader.received).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
  expect(lines).toEqual([expect.objectContaining({ level: 'debug', method: 'StreamThings', code: 'OK' })])
})

test('a slow reader is waited for', async () => {
  const { reader } = serve(items)
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
  expect(reader.received).toEqual([{ n: 1 }])
  await reader.drain()
})

test('a reader that leaves ends the handler', async () => {
  let finished = false
  const { reader } = serve(function* () {
    try {
      yield* items()
    } finally {
      finished = true
    }
  })
  await Promise.resolve()
  reader.emit('cancelled')
  expect(await reader.ended).toMatchObject({ code: status.CANCELLED })
  expect(finished).toBe(true)
})

test('a failure after some messages is the status that ends the stream', async () => {
  const { lines, reader } = serve(function* () {
    yield { n: 1 }
    throw new CriError('unavailable', 'gone')
  })
  expect(await reader.drain()).toEqual({ code: status.UNAVAILABLE, details: 'gone' })
  expect(lines).toEqual([expect.objectContaining({ level: 'warn', error: 'gone' })])
})
