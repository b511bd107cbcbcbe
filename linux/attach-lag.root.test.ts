import { afterAll, beforeAll, expect, test } from 'vitest'
import { handlers, type MonitorLab, monitorLab } from '#test/integration/monitor-lab.ts'
import { attachClient, attachLab, attachThreads } from './attach-lab.ts'
import { AttachSockets } from './attach-sockets.ts'

let lab: MonitorLab
let clients: ReturnType<typeof attachLab>
let sockets: AttachSockets
beforeAll(() => {
  lab = monitorLab()
  clients = attachLab(lab)
  sockets = new AttachSockets({ lagLimitBytes: 1 << 20 })
})
afterAll(async () => {
  await sockets[Symbol.asyncDispose]()
  await lab[Symbol.asyncDispose]()
})

const onEach = test.for(handlers)
const writes = (sizeBytes: number): string => `yes $(printf %01000d 1) | head -c ${sizeBytes}; echo`

onEach(
  '%s: a slow client is dropped, a quick one and the log have everything, and the exit is told',
  async (handler) => {
    const container = await clients.create(handler, `${writes(16 << 20)}; echo last; exit 3`)
    const [slow, quick] = [attachClient({ reads: false }), attachClient()]
    const first = await clients.attach(sockets, container, slow)
    const second = await clients.attach(sockets, container, quick)
    await container.start()
    await expect(first.done).rejects.toMatchObject({
      kind: 'resource-exhausted',
      message: expect.stringMatching(
        new RegExp(
          `^container ${container.id}: attach: the client was dropped: it was [\\d.]+ MiB behind the container's standard ` +
            'output, more than 1.0 MiB: let the client read faster, or read the log instead$',
        ),
      ),
    })
    expect(slow.streams.stdout?.writableLength).toBeLessThan(4 << 20)
    expect(slow.streams.stdout?.destroyed).toBe(false)
    await second.done
    expect(await container.exit()).toMatchObject({ exitCode: 3 })
    expect(quick.out().equals(container.logged('stdout'))).toBe(true)
    await container.remove()
    await expect.poll(attachThreads).toBe(0)
  },
)

onEach(
  '%s: a slow client without input of a container with stdinOnce does not end the input',
  async (handler) => {
    const container = await clients.create(handler, `${writes(8 << 20)}; cat; ${writes(8 << 20)}; exit 4`, {
      stdin: true,
      stdinOnce: true,
    })
    const [slow, owner] = [attachClient({ reads: false }), attachClient({ stdin: true })]
    const first = await clients.attach(sockets, container, slow)
    const second = await clients.attach(sockets, container, owner)
    await container.start()
    await expect(first.done).rejects.toMatchObject({ kind: 'resource-exhausted' })
    owner.stdin.write('hello\n')
    await expect.poll(() => owner.out().includes('hello\n')).toBe(true)
    owner.stdin.end()
    await second.done
    expect(await container.exit()).toMatchObject({ exitCode: 4 })
    expect(owner.out().equals(container.logged('stdout'))).toBe(true)
    await container.remove()
  },
)

onEach(
  '%s: a client that takes the rest late is waited for after the end of the container',
  async (handler) => {
    const container = await clients.create(handler, writes(512 << 10))
    const client = attachClient({ reads: false })
    const { done } = await clients.attach(sockets, container, client)
    let isDone = false
    void done.then(() => {
      isDone = true
    })
    await container.start()
    await container.exit()
    await expect.poll(attachThreads).toBe(0) // The connection has ended.
    expect(isDone).toBe(false)
    client.streams.stdout?.on('data', () => {})
    await done
    expect(client.streams.stdout?.writableLength).toBe(0)
    await container.remove()
  },
)

onEach('%s: a client that leaves before it has taken the rest is not waited for', async (handler) => {
  const container = await clients.create(handler, writes(512 << 10), { stdin: true, stdinOnce: true })
  const client = attachClient({ reads: false })
  const { done } = await clients.attach(sockets, container, client)
  await container.start()
  await container.exit()
  await expect.poll(attachThreads).toBe(0)
  client.leave()
  await done
  const late = clients.attachUnseen(sockets, container, attachClient())
  await expect(late).rejects.toMatchObject({ kind: 'failed-precondition' })
  await container.remove()
})
