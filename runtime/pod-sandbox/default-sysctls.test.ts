import { expect, test } from 'vitest'
import { sampleDefaults } from '../sample-defaults.ts'
import { withDefaultSysctls } from './default-sysctls.ts'

const own = { network: 'pod', pid: 'pod', ipc: 'pod' } as const
const ports = { 'net.ipv4.ip_unprivileged_port_start': '0' }
const ping = { 'net.ipv4.ping_group_range': '0 2147483647' }

test('a pod with a network of its own may use any port, and ping, without a capability', () => {
  expect(withDefaultSysctls({ sysctls: {}, namespaces: own }, sampleDefaults)).toEqual({ ...ports, ...ping })
})

test('a pod in a user namespace has no groups that may ping', () => {
  const ids = { containerId: 0, hostId: 100_000, length: 65_536 }
  const user = { uids: ids, gids: ids }
  const inUserNamespace = { sysctls: {}, namespaces: { ...own, user } }
  expect(withDefaultSysctls(inUserNamespace, sampleDefaults)).toEqual(ports)
})

test.for([
  [{ unprivilegedPorts: false }, ping],
  [{ unprivilegedIcmp: false }, ports],
] as const)('with %o only the other', ([over, expected]) => {
  expect(withDefaultSysctls({ sysctls: {}, namespaces: own }, { ...sampleDefaults, ...over })).toEqual(
    expected,
  )
})

test("those of the node go over what is built in, those of the pod over the node's, however they are written", () => {
  const defaults = {
    ...sampleDefaults,
    sysctls: { 'net.ipv4.ip_unprivileged_port_start': '80', 'net.core.somaxconn': '1', 'kernel.shmmax': '2' },
  }
  const sysctls = { 'net/core/somaxconn': '9', 'net.ipv4.ping_group_range': '1 0' }
  expect(withDefaultSysctls({ sysctls, namespaces: own }, defaults)).toEqual({
    'net.ipv4.ip_unprivileged_port_start': '80',
    'kernel.shmmax': '2',
    ...sysctls,
  })
})

test("nothing is set in a namespace that is the host's", () => {
  const defaults = { ...sampleDefaults, sysctls: { 'net.core.somaxconn': '1', 'kernel.shmmax': '2' } }
  const hostNetwork = { ...own, network: 'node' } as const
  expect(withDefaultSysctls({ sysctls: {}, namespaces: hostNetwork }, defaults)).toEqual({
    'kernel.shmmax': '2',
  })
  const hostIpc = { ...hostNetwork, ipc: 'node' } as const
  expect(withDefaultSysctls({ sysctls: {}, namespaces: hostIpc }, defaults)).toEqual({})
})
