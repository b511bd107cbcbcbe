import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { AttachRequest } from '#runtime/ports.ts'
import { type HostLab, hostLab } from './host-lab.ts'

/** Debian 12's plugins know no STATUS and GC, hang never and start no children: scripts do. */
let lab: HostLab
beforeEach(async () => {
  lab = await hostLab()
  await lab.script('recorder', `cat >"${stdinOf('$CNI_COMMAND')}"; ${ADD_RESULT}`)
  await lab.configure({
    cniVersion: '1.0.0',
    cniVersions: ['1.1.0'],
    name: 'ours',
    plugins: [{ type: 'recorder' }],
  })
})
afterEach(() => lab[Symbol.asyncDispose]())

const ADD_RESULT = `[ $CNI_COMMAND != ADD ] || echo '{"cniVersion":"1.1.0","ips":[{"address":"10.9.0.2/16"}]}'`
const stdinOf = (command: string) => join(lab.leaseDir, command)
const received = async (command: string) => JSON.parse(await readFile(stdinOf(command), 'utf8'))

const request = (sandboxId: string): AttachRequest => ({
  ...{
    sandboxId,
    netnsPath: '/run/netns/none',
    portMappings: [],
    dns: undefined,
    annotations: {},
    cgroupParent: '',
  },
  pod: { name: 'web', namespace: 'default', uid: 'u', attempt: 0 },
})
const newSandbox = () => randomBytes(32).toString('hex')

test('STATUS of a 1.1.0 plugin decides whether the network is ready', async () => {
  expect(await lab.network.status()).toEqual({ ready: true })
  expect(await received('STATUS')).toEqual({ type: 'recorder', name: 'ours', cniVersion: '1.1.0' })
  await lab.script('recorder', `echo '{"code":51,"msg":"agent is gone"}'; exit 1`)
  expect(await lab.podNetwork({}).status()).toMatchObject({
    ready: false,
    message: 'network ours: STATUS by CNI plugin recorder failed: agent is gone (code 51)',
  })
})

test('GC is sent with the valid attachments where the network is ours alone', async () => {
  const network = lab.podNetwork({ gcNetworks: ['ours'] })
  const [kept, stale] = [newSandbox(), newSandbox()]
  for (const id of [kept, stale]) await network.attach(request(id))
  await network.detach(stale, undefined)
  await network.collectGarbage(() => [kept])
  expect(await received('DEL')).toMatchObject({ prevResult: { ips: [{ address: '10.9.0.2/16' }] } })
  expect(await received('GC')).toMatchObject({
    'cni.dev/valid-attachments': [{ containerID: kept, ifname: 'eth0' }],
  })
  await network.detach(kept, undefined)
})

test('a plugin and its children hold the sandbox’s lock while they run', async () => {
  const held = join(lab.leaseDir, 'held')
  await lab.script('recorder', `cat >/dev/null; (readlink /proc/self/fd/3 >"${held}"); ${ADD_RESULT}`)
  const id = newSandbox()
  await lab.network.attach(request(id))
  expect((await readFile(held, 'utf8')).trim()).toMatch(new RegExp(`/locks/${id}$`))
  await lab.network.detach(id, undefined)
})

test('a plugin that hangs is killed with its children, and the ADD is undone', async () => {
  const pids = join(lab.leaseDir, 'pids')
  const hang = `sleep 600 & echo $$ $! >"${pids}"; wait`
  await lab.script('recorder', `cat >"${stdinOf('$CNI_COMMAND')}"; [ $CNI_COMMAND != ADD ] || { ${hang}; }`)
  const failure = await lab
    .podNetwork({ timeoutMs: 500 })
    .attach(request(newSandbox()))
    .catch((error: unknown) => error)
  expect(failure).toMatchObject({
    kind: 'deadline-exceeded',
    message: 'network ours: ADD by CNI plugin recorder',
    cause: { message: expect.stringContaining('did not end within 0.5 s and was killed') },
  })
  for (const pid of (await readFile(pids, 'utf8')).trim().split(' ')) {
    await expect
      .poll(() => lab.run(['ps', '-o', 'stat=', '-p', pid]).then((stat) => stat.replace('Z', '')))
      .toBe('')
  }
  expect(await received('DEL')).toMatchObject({ name: 'ours' })
})
