import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { IdMappings } from '#lib/id-mappings.ts'
import type { NamespaceRequest, Namespaces } from '#runtime/namespaces-port.ts'
import { runCommand } from './command.ts'
import { createNamespaces } from './namespaces.ts'
import { createObjectLocks, type HeldLocks } from './object-lock.ts'
import { ProcessWatcher } from './process-watcher.ts'
import { holdUserNamespace } from './user-namespace.ts'

const mapping = { containerId: 0, hostId: 200_000, length: 65_536 }
const user: IdMappings = { uids: mapping, gids: { ...mapping, hostId: 300_000 } }
const request: NamespaceRequest = { network: true, ipc: true, uts: true, user, hostname: 'pod', sysctls: {} }
const id = `test-${process.pid}`
let directory: string
let watcher: ProcessWatcher
let locks: HeldLocks
let namespaces: Namespaces
beforeEach(() => {
  directory = mkdtempSync('/var/lib/cri-ts-test-')
  watcher = new ProcessWatcher()
  locks = createObjectLocks(join(directory, 'locks'))
  namespaces = createNamespaces(join(directory, 'ns'), { watcher, lock: locks.hold })
})
afterEach(async () => {
  await namespaces.remove(id)
  await watcher[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})

/** What a command says as root of the pod's user namespace. */
async function inside(...command: readonly string[]): Promise<string> {
  const paths = await namespaces.find(id)
  const enter = [`--user=${paths.user}`, `--net=${paths.network}`, `--ipc=${paths.ipc}`, `--uts=${paths.uts}`]
  const argv = ['/usr/bin/nsenter', ...enter, '--setuid=0', '--setgid=0', ...command] as const
  const { stdout, stderr } = await runCommand(watcher, { argv, timeoutMs: 10_000 })
  return `${stdout}${stderr}`.trim()
}

const children = (): readonly string[] =>
  readdirSync('/proc/self/task').flatMap((task) =>
    readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
  )
const pinned = (): readonly string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(id))

test('root of a pod has the ids that were asked for, and its network, IPC and host name in hand', async () => {
  await namespaces.create(id, request)
  expect(await inside('cat', '/proc/self/uid_map', '/proc/self/gid_map')).toMatch(
    /^\s*0\s+200000\s+65536\n\s*0\s+300000\s+65536$/,
  )
  expect(await inside('hostname')).toBe('pod')
  expect(await inside('ip', 'link', 'add', 'v0', 'type', 'veth')).toBe('')
  expect(await inside('hostname', 'other')).toBe('')
  expect(
    await inside('sh', '-c', 'echo 70000 > /proc/sys/kernel/msgmnb && cat /proc/sys/kernel/msgmnb'),
  ).toBe('70000')
  expect(await inside('cat', '/sys/class/net/lo/flags')).toBe('0x9')
  expect(pinned()).toHaveLength(4)
})

test('no process is left, and none of our threads is in another namespace', async () => {
  const threads = (): readonly string[] =>
    ['net', 'ipc', 'uts', 'user'].flatMap((kind) =>
      readdirSync('/proc/self/task').map((task) => readlinkSync(`/proc/self/task/${task}/ns/${kind}`)),
    )
  const before = new Set(threads())
  await Promise.all([0, 1, 2, 3].map((each) => namespaces.create(`${id}-${each}`, request)))
  expect([children(), new Set(threads())]).toEqual([[], before])
  await Promise.all([0, 1, 2, 3].map((each) => namespaces.remove(`${id}-${each}`)))
  expect(pinned()).toEqual([])
})

test("sysctls of the network and of IPC are the pod's", async () => {
  const sysctls = {
    'net.ipv4.ip_unprivileged_port_start': '0',
    'kernel.shm_rmid_forced': '1',
    'kernel.sem': '1\t2\t3\t4',
  }
  const { missingSysctls } = await namespaces.create(id, { ...request, sysctls })
  expect(missingSysctls).toEqual({})
  const files = ['net/ipv4/ip_unprivileged_port_start', 'kernel/shm_rmid_forced', 'kernel/sem']
  const values = await inside('cat', ...files.map((file) => `/proc/sys/${file}`))
  expect(values.split('\n')).toEqual(Object.values(sysctls))
  expect(readFileSync('/proc/sys/kernel/sem', 'utf8')).not.toBe('1\t2\t3\t4\n')
})

test.for([
  ['5 6', '5\t6'],
  ['0 2147483647', '0\t65535'],
])('who may ping is said in the groups of the pod: %s', async ([wanted, inPod]) => {
  await namespaces.create(id, { ...request, sysctls: { 'net.ipv4.ping_group_range': wanted ?? '' } })
  expect(await inside('cat', '/proc/sys/net/ipv4/ping_group_range')).toBe(inPod)
})

test('a sysctl that is not taken is told by its name', async () => {
  const sysctls = { 'kernel.shmmax': 'much' }
  await expect(namespaces.create(id, { ...request, sysctls })).rejects.toMatchObject({
    kind: 'invalid-argument',
    message: expect.stringMatching(/^sysctl kernel.shmmax=much: /),
  })
})

test("on the host's network there is a user and an IPC namespace alone", async () => {
  const { network, uts, user: path } = await namespaces.create(id, { ...request, network: false, uts: false })
  expect([network, uts]).toEqual([undefined, undefined])
  expect(statSync(path ?? '').isFile()).toBe(true)
  expect(pinned()).toHaveLength(2)
})

test('ids that the kernel does not take are refused, and leave nothing that removal does not', async () => {
  const twice = { ...mapping, hostId: 2 ** 32 - 10 }
  const failure = namespaces.create(id, { ...request, user: { uids: twice, gids: twice } })
  await expect(failure).rejects.toMatchObject({ kind: 'failed-precondition' })
  expect(children()).toEqual([])
  await namespaces.remove(id)
  expect([pinned(), namespaces.leftovers()]).toEqual([[], []])
})

test('a daemon that is killed while it makes them leaves no process', async () => {
  mkdirSync(join(directory, 'locks'), { recursive: true })
  const script = `
    const { holdUserNamespace } = await import('${import.meta.dirname}/user-namespace.ts')
    const { ProcessWatcher } = await import('${import.meta.dirname}/process-watcher.ts')
    const { createObjectLocks } = await import('${import.meta.dirname}/object-lock.ts')
    const held = createObjectLocks('${directory}/locks').hold('pod')
    await holdUserNamespace(${JSON.stringify(user)}, ['network', 'ipc'], { watcher: new ProcessWatcher(), lockFd: held.fd })
    process.kill(process.pid, 'SIGKILL')`
  const argv = [process.execPath, '--input-type=module', '-e', script] as const
  expect(await runCommand(watcher, { argv, timeoutMs: 20_000 })).toMatchObject({ signal: 9 })
  await createObjectLocks(join(directory, 'locks'), 600_000).settle('pod') // Nobody kills it before this test's end.
  expect(readdirSync('/proc').filter((pid) => isHolder(pid))).toEqual([])
})

/** One that has ended stays to be seen until init reaps it. */
function isHolder(pid: string): boolean {
  try {
    if (/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) return false
    return readFileSync(`/proc/${pid}/uid_map`, 'utf8').includes('200000')
  } catch {
    return false
  }
}

test('what is held is gone with its holder', async () => {
  const holder = await holdUserNamespace(user, [], { watcher })
  expect(readlinkSync(holder.path('user'))).toMatch(/^user:/)
  await holder[Symbol.asyncDispose]()
  expect(children()).toEqual([])
})
