import { once } from 'node:events'
import { chmodSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { beforeAll, expect, test } from 'vitest'
import { testOnEach, useDaemon } from './host.ts'
import { bridgeNetwork } from './networks.ts'
import { podConfig, runPod } from './pod.ts'
import { until } from './until.ts'

const daemon = useDaemon()

/** What the first pod with two families leaves: a table of ip6tables, host-local's note of the last address. */
beforeAll(() =>
  withNetwork(bridgeNetwork(daemon().directory, { dualStack: true }), async () => {
    await using _pod = await runPod(daemon(), '')
  }),
)

const SERVER = {
  command: ['sh', '-c', 'mkdir /www; hostname >/www/index.html; exec httpd -f -p 8080 -h /www'],
}

async function fetchPage(host: string, port: number): Promise<string> {
  const socket = connect({ host, port })
  socket.end('GET / HTTP/1.0\r\n\r\n')
  return (await text(socket)).split('\r\n\r\n')[1]?.trim() ?? ''
}

const answers = async (host: string, port: number): Promise<boolean> => {
  const socket = connect({ host, port })
  const connected = await once(socket, 'connect').then(
    () => true,
    () => false,
  )
  socket.destroy()
  return connected
}

const leases = (): readonly string[] =>
  readdirSync(join(daemon().directory, 'cni/pods')).filter((name) => /^\d+\.|:/.test(name))

testOnEach('%s: a pod is reached by its address, and by its host port', async (handler) => {
  await using pod = await runPod(daemon(), handler, {
    hostname: `web-${handler}`,
    port_mappings: [{ protocol: 0, container_port: 8080, host_port: 18_080 }],
  })
  await pod.run(SERVER)
  const { ip } = (await pod.status())['network']
  await until('the server listens', () => answers(ip, 8080))
  expect(await fetchPage(ip, 8080)).toBe(`web-${handler}`)
  expect(await fetchPage('127.0.0.1', 18_080)).toBe(`web-${handler}`)
})

testOnEach('%s: pods reach each other', async (handler) => {
  await using server = await runPod(daemon(), handler, { hostname: 'server' })
  await using other = await runPod(daemon(), handler)
  await server.run(SERVER)
  const client = await other.run()
  const { ip } = (await server.status())['network']
  await until('the server listens', () => answers(ip, 8080))
  expect(await client.exec('wget', '-q', '-O', '-', `http://${ip}:8080/`)).toBe('server')
})

testOnEach(
  '%s: every container port is named, and one without a host port is not mapped',
  async (handler) => {
    const port_mappings = [{ protocol: 0, container_port: 80, host_port: 0 }]
    await using one = await runPod(daemon(), handler, { port_mappings })
    await using two = await runPod(daemon(), handler, { port_mappings })
    expect((await one.status())['state']).toBe((await two.status())['state'])
  },
)

testOnEach(
  '%s: the same host port of another address or protocol is no conflict, the same of all is',
  async (handler) => {
    const mapped = (host_ip: string, protocol: number) => ({
      port_mappings: [{ protocol, container_port: 80, host_port: 18_081, host_ip }],
    })
    await using _first = await runPod(daemon(), handler, mapped('127.0.0.1', 0))
    await using _udp = await runPod(daemon(), handler, mapped('127.0.0.1', 1))
    await using _otherAddress = await runPod(daemon(), handler, mapped('127.0.0.2', 0))
    const before = leases()
    await expect(runPod(daemon(), handler, mapped('127.0.0.1', 0))).rejects.toThrow(/18081/)
    expect(leases()).toEqual(before)
  },
)

testOnEach('%s: with two address families the pod has an address of each', async (handler) => {
  await withNetwork(bridgeNetwork(daemon().directory, { dualStack: true }), async () => {
    await using pod = await runPod(daemon(), handler)
    const { ip, additional_ips } = (await pod.status())['network']
    expect(ip).toMatch(/^10\.211\.77\./)
    expect(additional_ips).toMatchObject([{ ip: expect.stringMatching(/^fd77:77::/) }])
  })
})

testOnEach(
  '%s: the address is given back also when the configuration is gone before the pod',
  async (handler) => {
    const pod = await runPod(daemon(), handler)
    expect(leases()).toHaveLength(1)
    await withNetwork(undefined, async () => {
      await pod[Symbol.asyncDispose]()
      expect(leases()).toEqual([])
    })
  },
)

test("a failing plugin's message reaches the caller, and what came before it is undone", async () => {
  const plugin = join(daemon().plugins, 'refuse')
  await using cleanUp = new AsyncDisposableStack()
  cleanUp.defer(() => rmSync(plugin, { force: true }))
  writeFileSync(plugin, REFUSING_PLUGIN)
  chmodSync(plugin, 0o755)
  const network = JSON.parse(bridgeNetwork(daemon().directory))
  network.plugins.push({ type: 'refuse' })
  await withNetwork(JSON.stringify(network), async () => {
    await expect(runPod(daemon(), '')).rejects.toThrow(/the plugin says no/)
    expect(leases()).toEqual([])
  })
})

test('without a network a pod sandbox is refused with what to do', async () => {
  await withNetwork(undefined, async () => {
    const call = daemon().rpc('RunPodSandbox', { config: podConfig(daemon()) })
    await expect(call).rejects.toMatchObject({ details: expect.stringContaining(daemon().networks) })
  })
})

/** ADD is refused, DEL is fine. */
const REFUSING_PLUGIN = `#!/bin/sh
case $CNI_COMMAND in
ADD) echo '{ "cniVersion": "1.0.0", "code": 100, "msg": "the plugin says no", "details": "" }'; exit 1 ;;
VERSION) echo '{ "cniVersion": "1.0.0", "supportedVersions": ["1.0.0"] }' ;;
esac
`

/** Puts another conf list, or none, in the place of the usual one for a while. */
async function withNetwork(confList: string | undefined, work: () => Promise<void>): Promise<void> {
  const file = join(daemon().networks, '10-pods.conflist')
  const put = async (content: string | undefined): Promise<void> => {
    if (content === undefined) rmSync(file)
    else writeFileSync(file, content)
    await until('the change is seen', async () => networkIs(content))
  }
  await put(confList)
  try {
    await work()
  } finally {
    await put(bridgeNetwork(daemon().directory))
  }
}

/** The daemon watches the directory: Status tells in its verbose part what it has read. */
async function networkIs(confList: string | undefined): Promise<boolean> {
  const { status } = await daemon().rpc('Status')
  const ready = status.conditions.find((one: { type: string }) => one.type === 'NetworkReady').status
  return ready === (confList !== undefined)
}
