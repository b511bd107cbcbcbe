import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Message } from '#cri/client.ts'
import { useDaemon } from '#test/e2e/host.ts'
import { bridgeNetwork } from '#test/e2e/networks.ts'
import { runPod } from '#test/e2e/pod.ts'
import { until } from '#test/e2e/until.ts'

/** CNI 1.1 with real plugins, which are older on the test host. */
const daemon = useDaemon()

const networkFile = (): string => join(daemon().networks, '10-pods.conflist')
const network = () => ({ ...JSON.parse(bridgeNetwork(daemon().directory)), cniVersion: '1.1.0' })

const networkReady = async (): Promise<Message> =>
  (await daemon().rpc('Status'))['status'].conditions.find((one: Message) => one['type'] === 'NetworkReady')

test('what a plugin says about its STATUS stands in NetworkReady', async () => {
  const broken = network()
  broken.plugins[0].ipam.type = 'no-such-ipam'
  writeFileSync(networkFile(), JSON.stringify(broken))
  await until('the network is not ready', async () => !(await networkReady())['status'], 20_000)
  expect(await networkReady()).toMatchObject({ message: expect.stringContaining('no-such-ipam') })
  writeFileSync(networkFile(), JSON.stringify(network()))
  await until('the network is ready again', async () => (await networkReady())['status'], 20_000)
})

test('GC is sent at the start where it is allowed, and leaves what belongs to a pod', async () => {
  writeFileSync(networkFile(), JSON.stringify(network()))
  writeFileSync(join(daemon().directory, 'config.d/gc.toml'), '[cni]\ngc = ["pods"]\n')
  const [plugin, calls] = [join(daemon().directory, 'cni-bin/bridge'), join(daemon().directory, 'calls')]
  using undo = new DisposableStack()
  for (const file of [plugin, calls]) undo.defer(() => rmSync(file, { force: true }))
  writeFileSync(plugin, `#!/bin/sh\necho $CNI_COMMAND >>${calls}\nexec /usr/lib/cni/bridge\n`, {
    mode: 0o755,
  })
  await using pod = await runPod(daemon(), '')
  const { ip } = (await pod.status())['network']
  const before = daemon().log().length
  await daemon().stop()
  await daemon().start()
  await until('GC is sent', () => readFileSync(calls, 'utf8').includes('GC'))
  expect(readdirSync(join(daemon().directory, 'cni/pods'))).toContain(ip)
  expect(daemon().log().slice(before)).not.toContain('"err"')
})
