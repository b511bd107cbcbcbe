import { Duplex, duplexPair } from 'node:stream'
import { expect, test } from 'vitest'
import { forward } from './forward.ts'

/** A client and a pod, each as its own end of what is forwarded between them. */
function connected() {
  const [client, clientEnd] = duplexPair({ allowHalfOpen: true })
  const [podEnd, pod] = duplexPair({ allowHalfOpen: true })
  let resets = 0
  const connection = Object.assign(podEnd, {
    resetAndDestroy: () => {
      resets += 1
      podEnd.destroy()
    },
  })
  return { client, clientEnd, pod, connection, resets: () => resets }
}
/** All that comes until the end; other than an iterator it leaves the other half as it is. */
const text = (stream: Duplex): Promise<string> =>
  new Promise((resolve) => {
    let all = ''
    stream.on('data', (chunk: Buffer) => {
      all += chunk
    })
    stream.on('end', () => resolve(all))
  })
const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('both halves are passed on and end by themselves', async () => {
  const { client, clientEnd, pod, connection, resets } = connected()
  const done = forward(clientEnd, connection)
  client.end('question')
  expect(await text(pod)).toBe('question')
  pod.end('answer')
  expect(await text(client)).toBe('answer')
  await done
  expect(resets()).toBe(0)
})

test('a client that goes resets what it leaves unfinished', async () => {
  const { clientEnd, connection, resets } = connected()
  const done = forward(clientEnd, connection)
  clientEnd.destroy(new Error('stream reset'))
  await done
  expect(resets()).toBe(1)
})

test('a client that was gone before it was connected resets it at once', async () => {
  const { clientEnd, connection, resets } = connected()
  clientEnd.destroy()
  await later()
  await forward(clientEnd, connection)
  expect(resets()).toBe(1)
})

test('a client that lets go of what the pod has ended resets nothing', async () => {
  const { client, clientEnd, pod, connection, resets } = connected()
  const done = forward(clientEnd, connection)
  pod.end('all')
  expect(await text(client)).toBe('all')
  clientEnd.destroy()
  await done
  expect([resets(), connection.destroyed]).toEqual([0, true])
})

test('a failure of the pod is one of the connection', async () => {
  const { clientEnd, connection } = connected()
  const done = forward(clientEnd, connection)
  connection.destroy(new Error('read ECONNRESET'))
  await expect(done).rejects.toThrow('ECONNRESET')
})

test('a client that cannot end its half has ended with the pod', async () => {
  const { client, clientEnd, pod, connection } = connected()
  const done = forward(clientEnd, connection, true)
  pod.end('all')
  expect(await text(client)).toBe('all')
  await done
  expect(connection.destroyed).toBe(true)
})

test('neither side runs ahead of the other', async () => {
  const { clientEnd, connection } = connected()
  let wrote = 0
  const endless = new Duplex({
    read() {
      wrote += 1
      this.push(Buffer.alloc(1024))
    },
    write: (_chunk, _encoding, done) => done(),
  })
  const source = Object.assign(endless, { resetAndDestroy: () => endless.destroy() })
  void forward(clientEnd, source)
  for (let turn = 0; turn < 50; turn += 1) await later()
  const before = wrote
  for (let turn = 0; turn < 50; turn += 1) await later()
  expect(wrote).toBe(before)
  clientEnd.destroy()
  connection.destroy()
})
