import { expect, test } from 'vitest'
import { convertSysctls } from './convert-sysctls.ts'

const own = { network: 'pod', ipc: 'pod', pid: 'pod' } as const

test.for([
  'kernel.shmmax',
  'kernel.shm_rmid_forced',
  'kernel.msgmni',
  'kernel.sem',
  'kernel/sem',
  'fs.mqueue.msg_max',
  'net.ipv4.ip_unprivileged_port_start',
  'net/ipv4/conf/eth0.1/forwarding',
  'net.ipv4.conf.eth0/1.forwarding',
])("%s is the pod's own", (name) => {
  expect(convertSysctls({ [name]: '1' }, own)).toEqual({ [name]: '1' })
})

test.for([
  ['kernel.panic', 'not namespaced'],
  ['vm.swappiness', 'not namespaced'],
  ['kernel.semaphore', 'not namespaced'],
  ['fs.file-max', 'not namespaced'],
  ['net', 'not namespaced'],
  ['', 'no name of a sysctl'],
  ['net/../kernel/core_pattern', 'no name of a sysctl'],
  ['net.//.kernel.core_pattern', 'no name of a sysctl'],
  ['net..ipv4', 'no name of a sysctl'],
  ['net.ipv4\nx', 'no name of a sysctl'],
] as const)('%s is refused: %s', ([name, message]) => {
  expect(() => convertSysctls({ [name]: '1' }, own)).toThrow(
    expect.objectContaining({ kind: 'invalid-argument', message: expect.stringContaining(message) }),
  )
})

test.for([
  ['net.core.somaxconn', { ...own, network: 'node' }],
  ['kernel.shmmax', { ...own, ipc: 'node' }],
  ['fs.mqueue.msg_max', { ...own, ipc: 'node' }],
] as const)("%s is refused in the host's namespace", ([name, namespaces]) => {
  expect(() => convertSysctls({ [name]: '1' }, namespaces)).toThrow(/would change the host/)
})

test('a value is one line', () => {
  expect(() => convertSysctls({ 'net.core.somaxconn': '1\n2' }, own)).toThrow(/more than one line/)
})
