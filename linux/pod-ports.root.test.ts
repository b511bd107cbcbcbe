import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createPodPorts } from './pod-ports.ts'

const name = `cri-ts-ports-${process.pid}`
const netns = `/run/netns/${name}`
const ports = createPodPorts()
const servers: ReturnType<typeof spawn>[] = []

beforeAll(() => {
  execFileSync('ip', ['netns', 'add', name])
  execFileSync('ip', ['-n', name, 'link', 'set', 'lo', 'up'])
})
afterAll(async () => {
  for (const server of servers) {
    const ended = once(server, 'exit')
    server.kill('SIGKILL')
    await ended
  }
  execFileSync('ip', ['netns', 'delete', name])
})

/** A server in the namespace that answers with what it was sent, backwards, once that has ended. */
async function serve(host: string, port: number): Promise<void> {
  const script = `require('net').createServer({ allowHalfOpen: true }, (s) => {
    let all = ''
    s.on('data', (part) => (all += part))
    s.on('end', () => all === 'reset' ? s.resetAndDestroy() : s.end([...all].reverse().join('')))
  }).listen(${port}, '${host}', () => console.log('ready'))`
  const server = spawn('ip', ['netns', 'exec', name, process.execPath, '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  servers.push(server)
  await once(server.stdout ?? server, 'data')
}

const networkOfThread = (): string => readlinkSync('/proc/thread-self/ns/net')

test.each([
  ['127.0.0.1', 4001],
  ['::1', 4002],
])('a server on %s of the pod alone is reached, and both halves end by themselves', async (host, port) => {
  await serve(host, port)
  const home = networkOfThread()
  const connection = await ports.connect(netns, port)
  expect(networkOfThread()).toBe(home)
  connection.end('abc')
  expect(await text(connection)).toBe('cba')
})

test('a reset of the server is an error of the connection', async () => {
  await serve('127.0.0.1', 4003)
  const connection = await ports.connect(netns, 4003)
  connection.end('reset')
  await expect(text(connection)).rejects.toThrow(/ECONNRESET/)
})

test('a port on which nobody listens is refused, naming both addresses and the remedy', async () => {
  const before = readdirSync('/proc/self/fd').length
  await expect(ports.connect(netns, 4999)).rejects.toMatchObject({
    kind: 'unavailable',
    message: expect.stringMatching(/port 4999: .*127\.0\.0\.1:4999.*::1:4999.*start a server/),
  })
  await expect.poll(() => readdirSync('/proc/self/fd').length).toBe(before)
})

test("the host's ports are reached without a namespace, and a reset of ours arrives there", async () => {
  const sockets: Socket[] = []
  const server = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const connection = await ports.connect(undefined, port)
  await expect.poll(() => sockets.length).toBe(1)
  const failed = once(sockets[0] as Socket, 'error')
  connection.resetAndDestroy()
  expect(String((await failed)[0])).toMatch(/ECONNRESET/)
  server.close()
})

test('a namespace that is not there is an error, and we are still at home', async () => {
  const home = networkOfThread()
  await expect(ports.connect('/run/netns/nobody', 1)).rejects.toThrow(/ENOENT|nobody/)
  expect(networkOfThread()).toBe(home)
})
