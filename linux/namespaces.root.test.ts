import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { NamespaceRequest, Namespaces } from '#runtime/namespaces-port.ts'
import { runCommand } from './command.ts'
import { createNamespaces } from './namespaces.ts'
import { createObjectLocks } from './object-lock.ts'
import { ProcessWatcher } from './process-watcher.ts'

const request: NamespaceRequest = { network: true, ipc: true, uts: true, hostname: 'pod-host', sysctls: {} }
const id = `test-${process.pid}`
let directory: string
let watcher: ProcessWatcher
let namespaces: Namespaces
const namespacesIn = (path: string): Namespaces =>
  createNamespaces(path, { watcher, lock: createObjectLocks(`${path}-locks`).hold })
beforeEach(() => {
  directory = mkdtempSync('/var/lib/cri-ts-test-')
  watcher = new ProcessWatcher()
  namespaces = namespacesIn(directory)
})
afterEach(async () => {
  await namespaces.remove(id)
  await watcher[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})

async function inside(...command: readonly string[]): Promise<string> {
  const { network, ipc, uts } = await namespaces.find(id)
  const argv = ['/usr/bin/nsenter', `--net=${network}`, `--ipc=${ipc}`, `--uts=${uts}`, ...command] as const
  const { stdout, stderr } = await runCommand(watcher, { argv, timeoutMs: 10_000 })
  return `${stdout}${stderr}`.trim()
}

const ours = (): readonly string[] =>
  ['net', 'ipc', 'uts'].map((kind) => readlinkSync(`/proc/self/ns/${kind}`))
const threads = (): readonly string[] =>
  readdirSync('/proc/self/task').flatMap((task) =>
    ['net', 'ipc', 'uts'].map((kind) => readlinkSync(`/proc/self/task/${task}/ns/${kind}`)),
  )
const pinned = (): readonly string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(id))

test('a pod has namespaces of its own with its name and loopback up, which no process holds', async () => {
  const before = ours()
  await namespaces.create(id, request)
  expect(await inside('hostname')).toBe('pod-host')
  expect(await inside('cat', '/sys/class/net/lo/flags')).toBe('0x9')
  const links = await inside('readlink', '/proc/self/ns/net', '/proc/self/ns/ipc', '/proc/self/ns/uts')
  for (const link of links.split('\n')) expect(before).not.toContain(link)
  expect(new Set(threads())).toEqual(new Set(before))
  expect(pinned()).toHaveLength(3)
})

test("sysctls are the pod's, and the host's stay as they were", async () => {
  const wanted = {
    'net.ipv4.ip_local_port_range': '20000\t20999',
    'net/ipv4/conf/lo/rp_filter': '2',
    'kernel.shm_rmid_forced': '1',
    'kernel.shmmax': '12345678',
  }
  const files = ['net/ipv4/ip_local_port_range', 'net/ipv4/conf/lo/rp_filter', 'kernel/shm_rmid_forced']
  const paths = [...files, 'kernel/shmmax'].map((file) => `/proc/sys/${file}`)
  const ofHost = () => paths.map((path) => readFileSync(path, 'utf8').trim())
  const before = ofHost()
  await namespaces.create(id, { ...request, sysctls: wanted })
  expect((await inside('cat', ...paths)).split('\n')).toEqual(Object.values(wanted))
  expect(ofHost()).toEqual(before)
})

test('a sysctl of an interface is set once it is there, in the pod alone', async () => {
  const late = { 'net.ipv4.conf.pod0.rp_filter': '2', 'net/ipv4/conf/pod0.7/rp_filter': '2' }
  const before = ours()
  const { missingSysctls } = await namespaces.create(id, {
    ...request,
    sysctls: { 'net.ipv4.conf.lo.rp_filter': '2', ...late },
  })
  expect(missingSysctls).toEqual(late)
  await expect(namespaces.setSysctls(id, late)).rejects.toMatchObject({
    kind: 'invalid-argument',
    message: expect.stringContaining('sysctl net.ipv4.conf.pod0.rp_filter=2: /proc/sys/net/ipv4/conf/pod0/'),
  })
  await inside('ip', 'link', 'add', 'pod0', 'type', 'veth', 'peer', 'name', 'pod0.7')
  await namespaces.setSysctls(id, missingSysctls)
  const files = ['pod0', 'pod0.7'].map((name) => `/proc/sys/net/ipv4/conf/${name}/rp_filter`)
  expect(await inside('cat', ...files)).toBe('2\n2')
  expect(ours()).toEqual(before)
})

test.for(['kernel.shm_no_such_thing', 'net.ipv4.ip_local_port_range'])(
  'a sysctl that is not taken (%s) is told of by name, we are back, and a removal leaves nothing',
  async (name) => {
    const before = ours()
    const failed = namespaces.create(id, { ...request, sysctls: { [name]: 'nonsense' } })
    await expect(failed).rejects.toMatchObject({
      kind: 'invalid-argument',
      message: expect.stringContaining(
        `sysctl ${name}=nonsense: /proc/sys/${name.replaceAll('.', '/')} does not`,
      ),
    })
    expect(ours()).toEqual(before)
    expect(await namespaces.find(id)).toEqual({
      network: undefined,
      ipc: undefined,
      uts: undefined,
      user: undefined,
    })
    await namespaces.remove(id)
    expect([pinned(), readdirSync(directory)]).toEqual([[], []])
  },
)

test('only what is wanted is made, and a removal is as good the second time', async () => {
  const paths = await namespaces.create(id, { ...request, network: false, uts: false })
  expect(paths).toMatchObject({ network: undefined, ipc: `${directory}/${id}/ipc`, uts: undefined })
  expect({ ...(await namespaces.find(id)), missingSysctls: {} }).toEqual(paths)
  await namespaces.remove(id)
  await namespaces.remove(id)
  expect(await namespaces.find(id)).toEqual({
    network: undefined,
    ipc: undefined,
    uts: undefined,
    user: undefined,
  })
  expect([pinned(), readdirSync(directory)]).toEqual([[], []])
})

test('many at once are apart from each other, and none of our threads is left in one', async () => {
  const before = ours()
  const ids = Array.from({ length: 10 }, (_, index) => `${id}-${index}`)
  try {
    await Promise.all(ids.map((each) => namespaces.create(each, { ...request, hostname: each })))
    expect(new Set(threads())).toEqual(new Set(before))
    expect(pinned()).toHaveLength(30)
  } finally {
    await Promise.all(ids.map((each) => namespaces.remove(each)))
  }
  expect(pinned()).toEqual([])
})

test("what namespaces are left of is known, and another daemon's in /run/netns are not ours", async () => {
  await namespaces.create(id, request)
  expect(namespaces.leftovers()).toEqual([id])
  const other = mkdtempSync('/var/lib/cri-ts-test-')
  expect(namespacesIn(other).leftovers()).toEqual([])
  rmSync(other, { recursive: true })
  await namespaces.remove(id)
  expect(namespaces.leftovers()).toEqual([])
})
