import { afterAll, beforeAll, expect, test } from 'vitest'
import { handlers, type MonitorLab, monitorLab } from '#test/integration/monitor-lab.ts'
import { attachClient, attachLab, attachThreads, bundleIn, descriptorsOf, waitFor } from './attach-lab.ts'
import { AttachSockets } from './attach-sockets.ts'
import { isAlive } from './proc.ts'

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

onEach('%s: what a container writes comes out on its stream, and ends with it', async (handler) => {
  const container = await clients.create(handler, 'echo out; echo err >&2; printf part; exit 4')
  const client = attachClient()
  const { done } = await clients.attach(sockets, container, client)
  await container.start()
  await done
  expect(`${client.out()}`).toBe('out\npart')
  expect(`${client.err()}`).toBe('err\n')
  expect(client.streams.stdout?.destroyed || client.streams.stdout?.writableEnded).toBe(false)
  expect(await container.exit()).toMatchObject({ exitCode: 4 })
  await container.remove()
})

onEach('%s: 20 MiB in bursts come to each of several clients as they are in the log', async (handler) => {
  const burst = 'yes "out $i of ten" | head -c 1048576; yes "err $i" | head -c 1048576 >&2'
  const script = `for i in 0 1 2 3 4 5 6 7 8 9; do ${burst}; done; echo; echo >&2`
  const container = await clients.create(handler, script)
  const all = [attachClient(), attachClient(), attachClient()]
  const attached = []
  for (const client of all) attached.push(await clients.attach(sockets, container, client))
  await container.start()
  await Promise.all(attached.map(({ done }) => done))
  await container.exit()
  const [out, err] = [container.logged('stdout'), container.logged('stderr')]
  expect([out.length, err.length]).toEqual([10_485_761, 10_485_761])
  for (const client of all) {
    expect(client.out().equals(out)).toBe(true)
    expect(client.err().equals(err)).toBe(true)
  }
  await container.remove()
})

onEach('%s: a client without streams for the output is attached until the end', async (handler) => {
  const container = await clients.create(handler, 'yes $(printf %01000d 1) | head -c 4194304')
  const { streams } = attachClient()
  const client = { ...attachClient(), streams: { ...streams, stdout: undefined, stderr: undefined } }
  const { done } = await clients.attach(sockets, container, client)
  await container.start()
  await done
  expect(await container.exit()).toMatchObject({ exitCode: 0 })
  await container.remove()
})

onEach('%s: a client that destroys its output does not hold the container up', async (handler) => {
  const container = await clients.create(handler, 'yes $(printf %01000d 1) | head -c 8388608; echo last')
  const client = attachClient()
  const { done } = await clients.attach(sockets, container, client)
  client.streams.stdout?.once('data', () => client.streams.stdout?.destroy(new Error('the peer has gone')))
  await container.start()
  await done
  await container.exit()
  expect(container.logged('stdout').subarray(-5).toString()).toBe('last\n')
  await container.remove()
})

onEach('%s: a client that leaves leaves the container running and its log growing', async (handler) => {
  const container = await clients.create(handler, 'while :; do echo tick; sleep 0.02; done')
  const client = attachClient()
  const { done } = await clients.attach(sockets, container, client)
  await container.start()
  await expect.poll(() => `${client.out()}`).toContain('tick')
  client.leave()
  await done
  const heard = client.out().length
  await expect.poll(() => container.logged('stdout').length).toBeGreaterThan(heard + 50)
  expect(client.out().length).toBe(heard)
  expect(await lab.monitor().observe(container)).toEqual({ seen: 'alive' })
  await container.kill()
  await container.remove()
})

onEach('%s: a container that never pauses does not keep others from their clients', async (handler) => {
  const chatty = await clients.create(handler, 'yes')
  const quiet = await clients.create(handler, 'echo hello; sleep 0.1; echo goodbye')
  const [drain, client] = [attachClient({ reads: false }), attachClient()]
  drain.streams.stdout?.on('data', () => {})
  const first = await clients.attach(sockets, chatty, drain)
  const second = await clients.attach(sockets, quiet, client)
  await chatty.start()
  await quiet.start()
  await second.done
  expect(`${client.out()}`).toBe('hello\ngoodbye\n')
  await chatty.kill()
  await first.done
  await Promise.all([chatty.remove(), quiet.remove()])
})

onEach(
  '%s: the terminal has the size of the client, from the start and after each change',
  async (handler) => {
    const script = 'while :; do busybox stty size; sleep 0.02; done'
    const container = await clients.create(handler, script, { tty: true })
    const client = attachClient({ tty: true, size: { columns: 120, rows: 40 } })
    const { done } = await clients.attach(sockets, container, client)
    await container.start()
    await expect.poll(() => `${client.out()}`).toContain('40 120\r\n')
    client.resize({ columns: 5000, rows: 33 })
    await expect.poll(() => `${client.out()}`).toContain('33 1000\r\n')
    client.leave()
    await done
    client.resize({ columns: 80, rows: 25 })
    await expect.poll(() => `${container.logged('stdout')}`.endsWith('33 1000\r\n')).toBe(true)
    await container.kill()
    await container.remove()
  },
)

onEach('%s: without an attachment there is no thread, and no descriptor stays open', async (handler) => {
  const container = await clients.create(handler, `${waitFor(`end-${handler}`)}; echo end`)
  await container.start()
  await expect.poll(attachThreads).toBe(0)
  const descriptors = descriptorsOf('self').length
  for (let round = 0; round < 3; round += 1) {
    const [one, other] = [attachClient(), attachClient()]
    const first = await clients.attach(sockets, container, one)
    const second = await clients.attach(sockets, container, other)
    await expect.poll(attachThreads).toBe(1)
    one.leave()
    await first.done
    expect(attachThreads()).toBe(1)
    other.leave()
    await second.done
    await expect.poll(attachThreads).toBe(0)
    await expect.poll(() => descriptorsOf('self').length).toBe(descriptors)
  }
  const last = attachClient()
  const { done } = await clients.attach(sockets, container, last)
  clients.touch(`end-${handler}`)
  await done
  expect(`${last.out()}`).toBe('end\n')
  await container.exit()
  await expect.poll(attachThreads).toBe(0)
  await container.remove()
})

onEach('%s: a container that has ended takes no attachment', async (handler) => {
  const container = await clients.create(handler, 'true')
  await container.start()
  await container.exit()
  const { id, tty, stdin, stdinOnce } = container
  await expect.poll(() => isAlive(container.monitor)).toBe(false)
  const { streams, signal } = attachClient()
  const request = { id, tty, stdin, stdinOnce, streams, signal }
  await expect(sockets.attach(request, bundleIn(lab.directory, id))).rejects.toMatchObject({
    kind: 'failed-precondition',
    message: expect.stringContaining(`container ${id}: its monitor does not take attachments: connect /`),
  })
  await container.remove()
})
