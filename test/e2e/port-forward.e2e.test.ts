import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { dirname } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { HANDLERS, testOnEach, useDaemon } from './host.ts'
import { type Fields, NODE, type Pod, runPod } from './pod.ts'
import { forwardPorts, forwardRaw, streamClientPath } from './stream-client.ts'
import { typedCommand } from './typed-command.ts'
import { until } from './until.ts'

const daemon = useDaemon()

/** Sends each connection back what it sent, in capitals. */
const echo = (): Fields => ({
  command: ['/client/stream-client', 'serve', '--ports', '8080'],
  mounts: [{ host_path: dirname(streamClientPath()), container_path: '/client', readonly: true }],
})
const WEB = { command: ['busybox', 'httpd', '-f', '-p', '127.0.0.1:80', '-h', '/etc'] }

const forwardUrl = async ({ id }: Pod, port: readonly number[] = []): Promise<string> =>
  String((await daemon().rpc('PortForward', { pod_sandbox_id: id, port }))['url'])

/** What comes back of a connection to a local port; `input` undefined leaves our half open. */
async function ask(port: number, input: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  await once(socket, 'connect')
  socket.end(input)
  return text(socket)
}

/** client-go ends all when one connection is refused: it is asked for none before the servers listen. */
async function serve(pod: Pod, fields: Fields, port: number): Promise<void> {
  const container = await pod.run(fields)
  const listens = async (): Promise<boolean> =>
    (await container.exec('netstat', '-ltn')).includes(`:${port} `)
  await until(`port ${port} is listened on`, listens)
}

test.for(
  HANDLERS.flatMap((handler) =>
    (['spdy', 'websocket'] as const).map((transport) => [handler, transport] as const),
  ),
)(
  '%s: over %s many connections to several ports of a pod at once, each half ending by itself',
  async ([handler, transport]) => {
    await using pod = await runPod(daemon(), handler)
    await serve(pod, echo(), 8080)
    await serve(pod, WEB, 80)
    await using forwarded = await forwardPorts(await forwardUrl(pod), [8080, 80], { transport })
    expect(await ask(forwarded.port(80), 'GET /passwd HTTP/1.0\r\n\r\n')).toContain('root:x:0')
    const inputs = Array.from({ length: 200 }, (_, index) => `connection ${index}`)
    const outputs = await Promise.all(inputs.map((input) => ask(forwarded.port(8080), input)))
    expect(outputs).toEqual(inputs.map((input) => input.toUpperCase()))
    const large = 'x'.repeat(3_000_000)
    expect(await ask(forwarded.port(8080), large)).toBe(large.toUpperCase())
  },
)

testOnEach('%s: a port on which nobody listens is refused with the reason', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  await using forwarded = await forwardPorts(await forwardUrl(pod), [81])
  expect(await ask(forwarded.port(81), 'x').catch(String)).toMatch(/^$|ECONNRESET|EPIPE/)
  expect((await forwarded.ended).error).toContain('lost connection')
  expect(daemon().log()).toMatch(
    /"kind":"portforward".*port 81: connect ECONNREFUSED 127.0.0.1:81.*start a server/,
  )
})

testOnEach("%s: a pod on the host's network has the host's ports", async (handler) => {
  const server = createServer((socket) => socket.end('the host')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { readonly port: number }
  await using pod = await runPod(daemon(), handler, {
    hostname: '',
    linux: { security_context: { namespace_options: { network: NODE } } },
  })
  await using forwarded = await forwardPorts(await forwardUrl(pod), [port])
  expect(await ask(forwarded.port(port), '')).toBe('the host')
  server.close()
})

test.for(
  HANDLERS.flatMap((handler) =>
    ['v4.channel.k8s.io', 'v4.base64.channel.k8s.io'].map((protocol) => [handler, protocol] as const),
  ),
)("%s: %s carries the ports of the CRI's request in channels", async ([handler, protocol]) => {
  await using pod = await runPod(daemon(), handler)
  await serve(pod, WEB, 80)
  const { stdout, error } = await forwardRaw(await forwardUrl(pod, [80]), [80], {
    protocol,
    input: 'GET /passwd HTTP/1.0\r\n\r\n',
  })
  expect([`${stdout}`, error]).toEqual([expect.stringContaining('root:x:0'), ''])
})

testOnEach('%s: crictl port-forward, from a terminal to its ^C', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  await serve(pod, echo(), 8080)
  for (const transport of ['spdy', 'websocket']) {
    await using session = typedCommand(
      ...daemon().crictlCommand('port-forward', '--transport', transport, pod.id, '18080:8080'),
    )
    await session.shows('Forwarding from 127.0.0.1:18080 -> 8080')
    expect(await ask(18_080, 'hello')).toBe('HELLO')
    await session.shows('Handling connection for 18080')
    session.type('\x03')
    await session.ended
  }
})

testOnEach('%s: the ports of a pod that is stopped are refused', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const url = await forwardUrl(pod)
  await daemon().rpc('StopPodSandbox', { pod_sandbox_id: pod.id })
  await expect(forwardUrl(pod)).rejects.toMatchObject({ code: 9 })
  await using forwarded = await forwardPorts(url, [80])
  expect(await ask(forwarded.port(80), 'x').catch(String)).toMatch(/^$|ECONNRESET|EPIPE/)
  expect(daemon().log()).toContain('is stopped, not ready')
})
