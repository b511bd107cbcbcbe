import { type PassThrough, Readable } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { handlers, type MonitorLab, monitorLab } from '#test/integration/monitor-lab.ts'
import { attachClient, attachLab, attachThreads, socketsOf, waitFor } from './attach-lab.ts'
import { AttachSockets } from './attach-sockets.ts'

let lab: MonitorLab
let clients: ReturnType<typeof attachLab>
let sockets: AttachSockets
beforeAll(() => {
  lab = monitorLab()
  clients = attachLab(lab)
  sockets = new AttachSockets()
})
afterAll(async () => {
  await sockets[Symbol.asyncDispose]()
  await lab[Symbol.asyncDispose]()
})

const onEach = test.for(handlers)
const kept = { stdin: true, stdinOnce: false }
const once = { stdin: true, stdinOnce: true }

onEach(
  '%s: input reaches the container, whose stdin stays open after the client ended its own',
  async (handler) => {
    const container = await clients.create(handler, 'cat', kept)
    const first = attachClient({ stdin: true })
    const attached = await clients.attach(sockets, container, first)
    await container.start()
    first.stdin.end('one\n')
    await expect.poll(() => `${first.out()}`).toBe('one\n')
    const second = attachClient({ stdin: true })
    const other = await clients.attach(sockets, container, second)
    second.stdin.write('two\n')
    await expect.poll(() => `${first.out()}`).toBe('one\ntwo\n')
    expect(`${second.out()}`).toBe('two\n')
    first.leave()
    await attached.done
    second.stdin.write('three\n')
    await expect.poll(() => `${second.out()}`).toBe('two\nthree\n')
    await container.kill()
    await other.done
    await container.remove()
  },
)

onEach(
  '%s: with stdinOnce the end of the input ends the container, after all of it came back',
  async (handler) => {
    const container = await clients.create(handler, 'cat; echo ended >&2; exit 5', once)
    const client = attachClient({ stdin: true })
    const { done } = await clients.attach(sockets, container, client)
    await container.start()
    const lines = Array.from({ length: 200_000 }, (_, line) => `line ${line} of many\n`).join('')
    Readable.from(chunksOf(Buffer.from(lines), 100_000)).pipe(client.stdin)
    await done
    expect(client.out().equals(Buffer.from(lines))).toBe(true)
    expect(`${client.err()}`).toBe('ended\n')
    expect(await container.exit()).toMatchObject({ exitCode: 5 })
    await container.remove()
  },
)

onEach('%s: with stdinOnce a client that has gone with its input ends the input', async (handler) => {
  const container = await clients.create(handler, 'cat; exit 6', once)
  const client = attachClient({ stdin: true })
  const { done } = await clients.attach(sockets, container, client)
  await container.start()
  client.stdin.write('hello\n')
  await expect.poll(() => `${client.out()}`).toBe('hello\n')
  client.leave()
  await done
  expect(await container.exit()).toMatchObject({ exitCode: 6 })
  await container.remove()
})

onEach(
  '%s: with stdinOnce a client without input that leaves ends nothing, and holds nothing up',
  async (handler) => {
    const script = `${waitFor(`w-${handler}`)}; yes $(printf %01000d 1) | head -c 8388608; cat; exit 7`
    const container = await clients.create(handler, script, once)
    const [viewer, owner] = [attachClient(), attachClient({ stdin: true })]
    const viewing = await clients.attach(sockets, container, viewer)
    await container.start()
    viewer.leave()
    await viewing.done
    clients.touch(`w-${handler}`)
    await expect.poll(() => container.logged('stdout').length, { timeout: 10_000 }).toBeGreaterThan(8_000_000)
    expect(viewer.out().length).toBe(0)
    const owning = await clients.attach(sockets, container, owner)
    owner.stdin.end('still open\n')
    await owning.done
    expect(`${owner.out()}`).toContain('still open\n')
    expect(await container.exit()).toMatchObject({ exitCode: 7 })
    await container.remove()
  },
)

onEach(
  '%s: with stdinOnce many clients without input, one after the other, use one connection',
  async (handler) => {
    const script = '(while :; do echo tick; sleep 0.01; done) & cat; exit 8'
    const container = await clients.create(handler, script, once)
    const before = socketsOf(container.monitor.pid)
    const first = attachClient()
    const { done } = await clients.attach(sockets, container, first)
    await container.start()
    first.leave()
    await done
    for (let round = 0; round < 10; round += 1) {
      const client = attachClient()
      const viewing = clients.attachUnseen(sockets, container, client)
      await expect.poll(() => `${client.out()}`).toContain('tick')
      client.leave()
      await viewing
    }
    expect(socketsOf(container.monitor.pid)).toBe(before + 1)
    const [viewer, owner] = [attachClient(), attachClient({ stdin: true })]
    const viewing = clients.attachUnseen(sockets, container, viewer)
    const { done: owning } = await clients.attach(sockets, container, owner)
    owner.stdin.end('last\n')
    await Promise.all([viewing, owning])
    expect(`${viewer.out()}`).toContain('last\n')
    expect(await container.exit()).toMatchObject({ exitCode: 8 })
    await container.remove()
    await expect.poll(attachThreads).toBe(0)
  },
)

onEach('%s: a container that reads nothing stops its client, and later gets every byte', async (handler) => {
  const container = await clients.create(handler, `${waitFor(`r-${handler}`)}; wc -c`, once)
  const client = attachClient({ stdin: true })
  const { done } = await clients.attach(sockets, container, client)
  await container.start()
  let givenBytes = 0
  const source = Readable.from(
    (function* () {
      for (const chunk of chunksOf(Buffer.alloc(8 << 20, 'x'), 10_000)) {
        givenBytes += chunk.length
        yield chunk
      }
    })(),
  )
  source.pipe(client.stdin)
  await expect.poll(() => client.stdin.isPaused()).toBe(true)
  await expect.poll(() => client.stdin.writableNeedDrain).toBe(true)
  expect(givenBytes).toBeLessThan(2 << 20)
  clients.touch(`r-${handler}`)
  await done
  expect(`${client.out()}`).toBe(`${8 << 20}\n`)
  expect(await container.exit()).toMatchObject({ exitCode: 0 })
  await container.remove()
})

onEach('%s: input in very many short pieces comes in order', async (handler) => {
  const container = await clients.create(handler, 'cat', once)
  const client = attachClient({ stdin: true })
  const { done } = await clients.attach(sockets, container, client)
  await container.start()
  const text = Array.from({ length: 20_000 }, (_, index) => `${index} `).join('')
  for (const letter of chunksOf(Buffer.from(text), 1)) client.stdin.write(letter)
  client.stdin.end()
  await done
  expect(`${client.out()}`).toBe(text)
  await container.exit()
  await container.remove()
})

onEach('%s: what a client writes to a container without stdin is dropped', async (handler) => {
  const container = await clients.create(handler, `${waitFor(`d-${handler}`)}; cat; echo done`)
  const client = attachClient({ stdin: true })
  const { done } = await clients.attach(sockets, container, client)
  await container.start()
  const written = new Promise((resolve) => client.stdin.write(Buffer.alloc(4 << 20), resolve))
  await written
  clients.touch(`d-${handler}`)
  await done
  expect(`${client.out()}`).toBe('done\n')
  await container.exit()
  await container.remove()
})

onEach(
  '%s: the input of one whose container has ended is dropped, and its streams are left alone',
  async (handler) => {
    const container = await clients.create(handler, 'echo bye', kept)
    const client = attachClient({ stdin: true })
    const { done } = await clients.attach(sockets, container, client)
    await container.start()
    await done
    const more = new Promise((resolve) => client.stdin.write(Buffer.alloc(4 << 20), resolve))
    await more
    expect([client.stdin.destroyed, (client.streams.stdout as PassThrough).destroyed]).toEqual([false, false])
    await container.exit()
    await container.remove()
  },
)

function* chunksOf(data: Buffer, sizeBytes: number): Generator<Buffer> {
  for (let start = 0; start < data.length; start += sizeBytes) yield data.subarray(start, start + sizeBytes)
}
