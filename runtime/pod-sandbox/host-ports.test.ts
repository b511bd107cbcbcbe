import { expect, test } from 'vitest'
import { privilegedSandbox } from '../oci-spec/sample-input.ts'
import { checkHostPorts } from './host-ports.ts'
import type { PortMapping, SandboxRecord, SandboxState } from './record.ts'

const port = (over: Partial<PortMapping> = {}): PortMapping => ({
  protocol: 'tcp',
  containerPort: 80,
  hostPort: 8080,
  hostIp: '',
  ...over,
})

const holder = (mapping: PortMapping, state: SandboxState = { phase: 'ready', ips: [] }): SandboxRecord => ({
  ...privilegedSandbox,
  spec: { ...privilegedSandbox.spec, portMappings: [mapping] },
  state,
})

test.for<[string, PortMapping, PortMapping]>([
  ['the same port', port(), port({ containerPort: 81 })],
  ['no address and 0.0.0.0', port(), port({ hostIp: '0.0.0.0' })],
  ['the same address', port({ hostIp: '10.0.0.1' }), port({ hostIp: '10.0.0.1' })],
])('%s in two pods is refused by the name of the other', ([, first, second]) => {
  expect(() => checkHostPorts([second], [holder(first)])).toThrow(
    expect.objectContaining({
      kind: 'failed-precondition',
      message: expect.stringMatching(/host port 8080\/tcp.* is taken by pod default\/pod \(sandbox-1\)/),
    }),
  )
})

test.for<[string, PortMapping, PortMapping]>([
  ['another port', port(), port({ hostPort: 8081 })],
  ['the wildcard of the other family', port(), port({ hostIp: '::' })],
  ['another protocol', port(), port({ protocol: 'udp' })],
  ['another address', port({ hostIp: '10.0.0.1' }), port({ hostIp: '10.0.0.2' })],
  ['a container port without host port', port({ hostPort: 0 }), port({ hostPort: 0 })],
])('%s is none', ([, first, second]) => {
  checkHostPorts([second], [holder(first)])
})

test('a stopped pod has no port any more, one that is being made or stopped has', () => {
  checkHostPorts([port()], [holder(port(), { phase: 'stopped', ips: [] })])
  for (const state of [{ phase: 'creating' }, { phase: 'stopping', ips: [] }] as const) {
    expect(() => checkHostPorts([port()], [holder(port(), state)])).toThrow(/is taken/)
  }
})

test('one pod may not want a host port twice', () => {
  expect(() => checkHostPorts([port(), port({ containerPort: 81 })], [])).toThrow(
    expect.objectContaining({
      kind: 'invalid-argument',
      message: 'host port 8080/tcp is mapped twice in one pod: leave one out',
    }),
  )
  checkHostPorts([port({ hostIp: '0.0.0.0' }), port({ hostIp: '::' })], [])
})
