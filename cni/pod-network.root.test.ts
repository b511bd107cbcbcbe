import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { AttachRequest } from '#runtime/ports.ts'
import { type HostLab, hostLab } from './host-lab.ts'
import type { SpecVersion } from './spec-version.ts'

let lab: HostLab
beforeEach(async () => {
  lab = await hostLab()
})
afterEach(() => lab[Symbol.asyncDispose]())

const newSandbox = () => randomBytes(32).toString('hex')

/** Debian's plugins as they stand in most clusters: both families, masquerading, host ports, a sysctl, limits. */
const debianChain = (cniVersion: SpecVersion, subnet = '10.99.0.0/24') => ({
  cniVersion,
  name: 'pods',
  plugins: [
    {
      type: 'bridge',
      bridge: 'cni-test0',
      isGateway: true,
      ipMasq: true,
      ipam: {
        type: 'host-local',
        dataDir: lab.leaseDir,
        ranges: [[{ subnet }], [{ subnet: 'fd99::/64' }]],
        routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
      },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
    { type: 'bandwidth', capabilities: { bandwidth: true } },
    { type: 'tuning', sysctl: { 'net.core.somaxconn': '321' } },
  ],
})

const request = (sandboxId: string, netnsPath: string): AttachRequest => ({
  sandboxId,
  netnsPath,
  pod: { name: 'web', namespace: 'default', uid: 'u', attempt: 0 },
  portMappings: [
    { protocol: 'tcp', containerPort: 80, hostPort: 18_080, hostIp: '' },
    { protocol: 'tcp', containerPort: 81, hostPort: 0, hostIp: '' },
  ],
  dns: undefined,
  annotations: { 'kubernetes.io/ingress-bandwidth': '10M' },
  cgroupParent: '',
})

/** Host side ends of pods, leases, iptables rules of a container and caches: all that an attachment leaves. */
const leftovers = async () => ({
  veths: (await lab.run(['ip', '-o', 'link', 'show', 'type', 'veth']))
    .split('\n')
    .filter((line) => line !== ''),
  ifbs: (await lab.run(['ip', '-o', 'link', 'show', 'type', 'ifb']))
    .split('\n')
    .filter((line) => line !== ''),
  leases: await lab.leases(),
  rules: (await lab.run(['iptables-save'])).split('\n').filter((line) => /10\.99\.0\.\d+|18080/.test(line)),
  rules6: (await lab.run(['ip6tables-save'])).split('\n').filter((line) => /fd99::|18080/.test(line)),
  caches: await readdir(lab.cacheDir),
})
const nothing = { veths: [], ifbs: [], leases: [], rules: [], rules6: [], caches: [] }

test.for(['0.3.1', '0.4.0', '1.0.0'] as const)(
  'the chain of Debian’s plugins in %s: addresses, host port, limits, and nothing left after detach',
  async (cniVersion) => {
    await lab.configure(debianChain(cniVersion))
    const [pod, id] = [await lab.addNetns(), newSandbox()]
    const ips = await lab.network.attach(request(id, pod.path))
    expect(ips).toEqual(['10.99.0.2', 'fd99::2'])
    const addresses = await lab.run(['ip', '-o', 'addr', 'show', 'dev', 'eth0'], pod.name)
    for (const ip of ips) expect(addresses).toContain(` ${ip}/`)
    expect(await lab.run(['cat', '/proc/sys/net/core/somaxconn'], pod.name)).toBe('321')
    expect(await lab.run(['tc', 'qdisc', 'show'])).toContain('tbf')

    const served = lab.run(['busybox', 'nc', '-l', '-w', '10', '-p', '80', '-e', 'echo', 'hello'], pod.name)
    await expect
      .poll(() => lab.run(['busybox', 'nc', '-w', '2', '127.0.0.1', '18080']), { timeout: 10_000 })
      .toBe('hello')
    await served

    await lab.network.detach(id, pod.path)
    expect(await lab.run(['ip', '-o', 'link', 'show', 'dev', 'eth0'], pod.name)).toContain('does not exist')
    expect(await leftovers()).toEqual(nothing)
    await lab.network.detach(id, pod.path)
  },
)

test('a pod whose namespace and configuration are gone gives everything back', async () => {
  await lab.configure(debianChain('1.0.0'))
  const [pod, id] = [await lab.addNetns(), newSandbox()]
  await lab.network.attach(request(id, pod.path))
  await pod.remove()
  await lab.configure({ cniVersion: '1.0.0', name: 'another', plugins: [{ type: 'bridge' }] })
  await lab.podNetwork({}).detach(id, undefined)
  // bridge 1.1.1 learns the addresses from the namespace: without it their masquerading stays until a reboot.
  const withoutMasquerading = async () => {
    const found = await leftovers()
    const others = (rules: readonly string[]) =>
      rules.filter((rule) => !/-s \S+.* -j CNI-|-A CNI-[0-9a-f]{24}/.test(rule))
    return { ...found, rules: others(found.rules), rules6: others(found.rules6) }
  }
  await expect.poll(withoutMasquerading, { timeout: 5_000 }).toEqual(nothing)
})

test('an ADD that fails late leaves nothing, and its plugin’s own words reach the caller', async () => {
  const chain = debianChain('1.0.0')
  await lab.script(
    'late',
    `[ $CNI_COMMAND = DEL ] || { echo '{"code":100,"msg":"no luck","details":"here"}'; exit 1; }`,
  )
  await lab.configure({ ...chain, plugins: [...chain.plugins, { type: 'late' }] })
  const [pod, id] = [await lab.addNetns(), newSandbox()]
  await expect(lab.network.attach(request(id, pod.path))).rejects.toThrow(
    'network pods: ADD by CNI plugin late failed: no luck: here (code 100)',
  )
  expect(await leftovers()).toEqual(nothing)
})

test('a network without free addresses says so in host-local’s words', async () => {
  await lab.configure(debianChain('1.0.0', '10.99.0.0/30'))
  const [first, second] = [await lab.addNetns(), await lab.addNetns()]
  const id = newSandbox()
  await lab.network.attach(request(id, first.path))
  const refused = { ...request(newSandbox(), second.path), portMappings: [] }
  await expect(lab.network.attach(refused)).rejects.toThrow(/no IP addresses available in range set/)
  expect(await lab.leases()).toHaveLength(2)
  await lab.network.detach(id, first.path)
  expect(await leftovers()).toEqual(nothing)
})

test('CHECK finds what has been taken from a pod', async () => {
  await lab.configure(debianChain('1.0.0'))
  const [pod, id] = [await lab.addNetns(), newSandbox()]
  // Without a host port: portmap 1.1.1 looks for the rules of one family among the other's.
  await lab.network.attach({ ...request(id, pod.path), portMappings: [] })
  await lab.network.check(id, pod.path)
  await lab.run(['ip', 'addr', 'flush', 'dev', 'eth0'], pod.name)
  await expect(lab.network.check(id, pod.path)).rejects.toThrow(/CHECK by CNI plugin bridge failed: /)
  await lab.network.detach(id, pod.path)
})
