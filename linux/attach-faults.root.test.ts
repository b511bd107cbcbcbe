import { afterEach, expect, test, vi } from 'vitest'
import { fakeMonitor } from './attach-fake-monitor.ts'
import { type AttachClient, attachClient, attachThreads, descriptorsOf } from './attach-lab.ts'
import { AttachSockets } from './attach-sockets.ts'

const requestOf = ({ streams, signal }: AttachClient, stdinOnce = false) => ({
  ...{ id: 'c1', tty: false, stdin: true, stdinOnce },
  ...{ streams, signal },
})
afterEach(async () => {
  await expect.poll(attachThreads).toBe(0)
})

test('a monitor that is not there takes no attachment, whatever is left of it', async () => {
  await using sockets = new AttachSockets()
  using monitor = fakeMonitor()
  const refused = {
    kind: 'failed-precondition',
    message: expect.stringMatching(
      /^container c1: its monitor does not take attachments: connect .*\/attach: (ENOENT|ECONNREFUSED): it has ended: attach to a container that runs$/,
    ),
  }
  const attach = (bundle: string) => sockets.attach(requestOf(attachClient()), bundle)
  const before = descriptorsOf('self').length
  await expect(attach(monitor.bundle)).rejects.toMatchObject(refused)
  await expect(attach('/no/such/bundle')).rejects.toMatchObject(refused)
  await expect(attach('/tmp')).rejects.toMatchObject(refused)
  expect(descriptorsOf('self').length).toBe(before)
})

test('a monitor that accepts nobody is told of as unavailable, and no descriptor stays open', async () => {
  await using sockets = new AttachSockets()
  using monitor = fakeMonitor({ backlog: 0 })
  monitor.listen()
  const waiting = attachClient()
  const first = sockets.attach(requestOf(waiting), monitor.bundle)
  await expect.poll(attachThreads).toBe(1)
  const before = descriptorsOf('self').length
  for (let tries = 0; tries < 50; tries += 1) {
    await expect(sockets.attach(requestOf(attachClient()), monitor.bundle)).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(/^container c1: .*EAGAIN: too many wait for it already, or it hangs: /),
    })
  }
  expect(descriptorsOf('self').length).toBeLessThan(before + 20) // Some are the thread's, which has just started.
  waiting.leave()
  await first
})

test('packets of every size come in order, each on its stream, and strange ones do no harm', async () => {
  await using sockets = new AttachSockets()
  using monitor = fakeMonitor()
  monitor.listen()
  const client = attachClient()
  const attached = sockets.attach(requestOf(client), monitor.bundle)
  const connection = monitor.accept()
  const wanted: { [stream: number]: Buffer[] } = { 2: [], 3: [] }
  for (let index = 0; index < 400; index += 1) {
    const stream = index % 7 < 4 ? 2 : 3
    const data = Buffer.alloc([0, 1, 8 << 10, 64 << 10, 3][index % 5] ?? 0, `${index}`)
    wanted[stream]?.push(data)
    await vi.waitFor(() => expect(connection.send(stream, data)).toBe(true))
    connection.send(9, Buffer.from('of no stream'))
  }
  connection.close()
  await attached
  expect(client.out().equals(Buffer.concat(wanted[2] ?? []))).toBe(true)
  expect(client.err().equals(Buffer.concat(wanted[3] ?? []))).toBe(true)
})

test('what a monitor had sent arrives though it ended with input unread', async () => {
  await using sockets = new AttachSockets()
  using monitor = fakeMonitor()
  monitor.listen()
  const client = attachClient({ stdin: true })
  const attached = sockets.attach(requestOf(client), monitor.bundle)
  const connection = monitor.accept()
  client.stdin.write('never read')
  await expect.poll(() => connection.hasUnread()).toBe(true)
  for (let index = 0; index < 10; index += 1) connection.send(2, Buffer.from(`${index}`))
  connection.close()
  await attached
  expect(`${client.out()}`).toBe('0123456789')
})

test('input that a monitor will not read any more is dropped, and its output still comes', async () => {
  await using sockets = new AttachSockets()
  using monitor = fakeMonitor()
  monitor.listen()
  const client = attachClient({ stdin: true })
  const attached = sockets.attach(requestOf(client), monitor.bundle)
  const connection = monitor.accept()
  client.stdin.write(Buffer.alloc(4 << 20))
  await expect.poll(() => client.stdin.isPaused()).toBe(true)
  connection.send(2, Buffer.from('before'))
  connection.close()
  await attached
  expect(`${client.out()}`).toBe('before')
  await expect.poll(() => client.stdin.writableLength).toBe(0)
})

test('without stdinOnce a monitor is not told of the end of the input', async () => {
  await using sockets = new AttachSockets()
  using monitor = fakeMonitor()
  monitor.listen()
  const client = attachClient({ stdin: true })
  const attached = sockets.attach(requestOf(client), monitor.bundle)
  const connection = monitor.accept()
  client.stdin.end('all')
  await expect.poll(() => connection.receive()?.toString()).toBe('all')
  await expect.poll(() => client.stdin.readableEnded).toBe(true)
  connection.send(2, Buffer.from('heard'))
  await expect.poll(() => `${client.out()}`).toBe('heard')
  expect(connection.receive()).toBe(undefined)
  connection.close()
  await attached
})

test('input of short pieces is sent in packets of 8 KiB at most, none of them empty', async () => {
  await using sockets = new AttachSockets()
  using monitor = fakeMonitor()
  monitor.listen()
  const client = attachClient({ stdin: true })
  const attached = sockets.attach(requestOf(client, true), monitor.bundle)
  const connection = monitor.accept()
  const sizes = [0, 1, 0, 8192, 8193, 3, 100_000, 1]
  for (const size of sizes) client.stdin.write(Buffer.alloc(size, 'x'))
  client.stdin.end()
  const packets: number[] = []
  await vi.waitFor(() => {
    for (let next = connection.receive(); next !== undefined; next = connection.receive()) {
      packets.push(next.length)
      if (next.length === 0) return
    }
    throw new Error('not yet')
  })
  expect(packets.indexOf(0)).toBe(packets.length - 1)
  expect(Math.max(...packets)).toBe(8192)
  expect(packets.reduce((sum, size) => sum + size)).toBe(116_390)
  connection.send(2, Buffer.from('still heard'))
  connection.close()
  await attached
  expect(`${client.out()}`).toBe('still heard')
})

test('while the event loop is busy the monitor waits, and memory stays within the window', async () => {
  await using sockets = new AttachSockets()
  using monitor = fakeMonitor()
  monitor.listen()
  const client = attachClient()
  const attached = sockets.attach(requestOf(client), monitor.bundle)
  const connection = monitor.accept()
  connection.send(2, Buffer.from('ready'))
  await expect.poll(() => client.out().length).toBe(5)
  const packet = Buffer.alloc(8 << 10)
  let sentBytes = 0
  // Without a turn of the event loop, for as long as the thread has taken something within 200 ms.
  for (let idleSinceMs = performance.now(); performance.now() - idleSinceMs < 200; ) {
    if (!connection.send(2, packet)) continue
    idleSinceMs = performance.now()
    sentBytes += packet.length
  }
  expect(sentBytes).toBeGreaterThanOrEqual(2 << 20)
  expect(sentBytes).toBeLessThan(4 << 20)
  connection.close()
  await attached
  expect(client.out().length).toBe(5 + sentBytes)
})

test('when the thread breaks every attachment fails, the next has a new one, and no descriptor stays open', async () => {
  const workerUrl = new URL(
    `data:text/javascript,import{parentPort}from'node:worker_threads';parentPort.once('message',()=>{throw Error('broken')})`,
  )
  await using sockets = new AttachSockets({ workerUrl })
  using monitor = fakeMonitor()
  monitor.listen()
  const before = descriptorsOf('self').length
  for (let round = 0; round < 2; round += 1) {
    const attached = [attachClient(), attachClient()].map((client) =>
      sockets.attach(requestOf(client), monitor.bundle),
    )
    for (const each of attached) {
      await expect(each).rejects.toMatchObject({
        kind: 'internal',
        message: 'container c1: attach: the thread of all attachments has ended: broken: attach again',
      })
    }
    monitor.accept().close()
    monitor.accept().close()
    await expect.poll(() => descriptorsOf('self').length).toBe(before)
  }
})

test('disposal ends every attachment as unavailable, and refuses new ones', async () => {
  const sockets = new AttachSockets()
  using monitor = fakeMonitor()
  monitor.listen()
  const before = descriptorsOf('self').length
  const attached = sockets.attach(requestOf(attachClient()), monitor.bundle)
  const stopping = {
    kind: 'unavailable',
    message: expect.stringContaining('container c1: attach: cri-ts is stopping'),
  }
  const failed = expect(attached).rejects.toMatchObject(stopping)
  await sockets[Symbol.asyncDispose]()
  await failed
  await expect(sockets.attach(requestOf(attachClient()), monitor.bundle)).rejects.toMatchObject(stopping)
  await expect.poll(() => descriptorsOf('self').length).toBe(before)
})

test('a client that has gone already is attached to nothing', async () => {
  await using sockets = new AttachSockets()
  const client = attachClient()
  client.leave()
  await sockets.attach(requestOf(client), '/no/such/bundle')
})
