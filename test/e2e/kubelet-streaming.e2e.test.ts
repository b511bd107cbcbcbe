import { expect, test } from 'vitest'
import * as manifests from './kubelet-manifests.ts'
import { useNode } from './kubelet-node.ts'
import { isReady } from './kubelet-pods.ts'
import { pageOf } from './kubelet-traces.ts'
import { forwardPorts, runStream } from './stream-client.ts'

/** As an API server connects to it for kubectl. */
const KUBELET = 'https://127.0.0.1:10250'
const args = ['--tls-insecure']
const transports = ['spdy', 'websocket'] as const

const node = useNode('crun', () => [manifests.web()])

test.for(transports)(
  'kubectl exec through kubelet over %s: its input, its output, its exit code',
  async (transport) => {
    await node().kubelet.podThat('web', 'ready', isReady)
    const command = ['sh', '-c', 'cat; echo err >&2; exit 3']
    const query = [
      ...command.map((word) => ['command', word]),
      ['input', '1'],
      ['output', '1'],
      ['error', '1'],
    ]
    const url = `${KUBELET}/exec/default/web-node/http?${new URLSearchParams(query)}`
    const { exitCode, stdout, stderr } = await runStream('exec', url, {
      transport,
      args,
      input: 'in and out',
    })
    expect([exitCode, `${stdout}`, `${stderr}`]).toEqual([3, 'in and out', 'err\n'])
  },
)

test.for(transports)('kubectl port-forward through kubelet over %s', async (transport) => {
  await node().kubelet.podThat('web', 'ready', isReady)
  await using forward = await forwardPorts(`${KUBELET}/portForward/default/web-node`, [80], {
    transport,
    args,
  })
  expect(await pageOf('127.0.0.1', forward.port(80))).toBe('one two\n')
})
