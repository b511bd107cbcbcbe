import { existsSync, readFileSync, readlinkSync } from 'node:fs'
import { expect } from 'vitest'
import { cgroupParent, memoryCgroup } from './cgroup-driver.ts'
import { testOnEach, useDaemon } from './host.ts'
import { isolation } from './isolation.ts'
import { CONTAINER, NODE, POD, runPod, SLEEP } from './pod.ts'

const daemon = useDaemon()

const hostNamespace = (kind: string): string => readlinkSync(`/proc/self/ns/${kind}`)
const namespaceOf = ['readlink', '-f'] as const

testOnEach(
  '%s: a sandbox is run, listed, stopped and removed; stopping and removing again is fine',
  async (handler) => {
    const { crictl, crictlJson } = daemon()
    await using pod = await runPod(daemon(), handler, { annotations: { note: 'kept' } })
    const ready = await crictlJson('pods', '--id', pod.id, '-o', 'json')
    expect(ready.items).toMatchObject([
      {
        state: 'SANDBOX_READY',
        runtimeHandler: handler,
        labels: { app: 'e2e' },
        annotations: { note: 'kept' },
      },
    ])
    expect((await crictlJson('inspectp', pod.id)).status).toMatchObject({
      metadata: pod.config['metadata'],
      state: 'SANDBOX_READY',
      runtimeHandler: handler,
      labels: { app: 'e2e' },
      annotations: { note: 'kept' },
      network: { ip: expect.stringMatching(/^10\.211\.77\./) },
    })
    await crictl('stopp', pod.id)
    await crictl('stopp', pod.id)
    expect((await pod.status())['state']).toBe('SANDBOX_NOTREADY')
    await crictl('rmp', pod.id)
    await daemon().rpc('RemovePodSandbox', { pod_sandbox_id: pod.id })
    await expect(pod.status()).rejects.toMatchObject({ code: 5 })
  },
)

testOnEach('%s: its namespaces are pinned without a process', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  expect(existsSync(`/run/netns/cri-ts-${pod.id}`)).toBe(true)
})

testOnEach('%s: a pod may use the network, the IPC and the PID namespace of the host', async (handler) => {
  const namespaces = { network: NODE, ipc: NODE, pid: NODE }
  await using pod = await runPod(daemon(), handler, {
    hostname: '',
    linux: { security_context: { namespace_options: namespaces } },
  })
  const container = await pod.run({ linux: { security_context: { namespace_options: namespaces } } })
  for (const kind of ['net', 'ipc', 'pid', 'uts']) {
    expect(await container.exec(...namespaceOf, `/proc/self/ns/${kind}`)).toContain(hostNamespace(kind))
  }
  const status = await pod.status()
  expect(status['linux'].namespaces.options).toMatchObject({ network: 'NODE', ipc: 'NODE', pid: 'NODE' })
  expect(status['network']?.ip ?? '').toBe('')
})

testOnEach(
  '%s: a pod has namespaces of its own, and its containers share those of the pod',
  async (handler) => {
    await using pod = await runPod(daemon(), handler, options({ pid: CONTAINER }))
    const [one, two] = [
      await pod.run(options({ pid: CONTAINER })),
      await pod.run(options({ pid: CONTAINER })),
    ]
    for (const kind of ['net', 'ipc', 'uts']) {
      const seen = await one.exec(...namespaceOf, `/proc/self/ns/${kind}`)
      expect(await two.exec(...namespaceOf, `/proc/self/ns/${kind}`)).toBe(seen)
      expect(seen).not.toContain(hostNamespace(kind))
    }
    const pidNamespace = [...namespaceOf, '/proc/self/ns/pid'] as const
    expect(await one.exec(...pidNamespace)).not.toBe(await two.exec(...pidNamespace))
    expect((await pod.status())['linux'].namespaces.options).toMatchObject({
      network: 'POD',
      pid: 'CONTAINER',
    })
  },
)

testOnEach(
  '%s: a shared PID namespace has an init of its own, and every container sees the others',
  async (handler) => {
    await using pod = await runPod(daemon(), handler, options({ pid: POD }))
    const one = await pod.run({ command: ['sleep', '3601'], ...options({ pid: POD }) })
    await pod.run({ command: ['sleep', '3602'], ...options({ pid: POD }) })
    const processes = await one.exec('ps')
    expect(processes).toMatch(/^ +1 .* -P$/m)
    expect(processes).toContain('sleep 3602')
  },
)

testOnEach('%s: hostname, hosts and resolv.conf are those of the pod', async (handler) => {
  await using pod = await runPod(daemon(), handler, {
    hostname: 'web-0',
    dns_config: { servers: ['10.96.0.10'], searches: ['svc.cluster.local'], options: ['ndots:5'] },
  })
  const container = await pod.run()
  expect(await container.exec('hostname')).toBe('web-0')
  expect(await container.exec('cat', '/etc/resolv.conf')).toBe(
    'search svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:5',
  )
})

testOnEach("%s: /dev/shm is shared in a pod and is not the host's", async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const [one, two] = [await pod.run(), await pod.run()]
  await one.exec('touch', '/dev/shm/here')
  expect(await two.exec('ls', '/dev/shm')).toBe('here')
  expect(existsSync('/dev/shm/here')).toBe(false)
})

testOnEach('%s: sysctls are set in the pod and not on the host', async (handler) => {
  const host = ['net/ipv4/ip_unprivileged_port_start', 'kernel/shm_rmid_forced'].map(readSysctl)
  await using pod = await runPod(daemon(), handler, {
    linux: {
      sysctls: {
        'net.ipv4.ip_unprivileged_port_start': '81',
        'net.ipv4.conf.eth0.rp_filter': '2',
        'kernel.shm_rmid_forced': '1',
      },
    },
  })
  const container = await pod.run()
  expect(await container.exec('cat', '/proc/sys/net/ipv4/conf/eth0/rp_filter')).toBe('2')
  expect(await container.exec('cat', '/proc/sys/net/ipv4/ip_unprivileged_port_start')).toBe('81')
  expect(await container.exec('cat', '/proc/sys/kernel/shm_rmid_forced')).toBe('1')
  expect(['net/ipv4/ip_unprivileged_port_start', 'kernel/shm_rmid_forced'].map(readSysctl)).toEqual(host)
})

testOnEach('%s: its containers run below the cgroup that kubelet made for the pod', async (handler) => {
  const parent = cgroupParent(`${isolation()}-${handler}`)
  await using pod = await runPod(daemon(), handler, { linux: { cgroup_parent: parent } })
  const container = await pod.run()
  const { info } = await daemon().crictlJson('inspect', container.id)
  expect(memoryCgroup(info.pid).directory).toContain(`${parent}/`)
})

testOnEach('%s: the log directory is made', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  expect(existsSync(pod.logDirectory)).toBe(true)
})

testOnEach('%s: a stopped sandbox has no running container, and takes no new one', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const container = await pod.run({ command: SLEEP })
  await daemon().crictl('stopp', pod.id)
  expect((await container.status())['state']).toBe('CONTAINER_EXITED')
  await expect(pod.create()).rejects.toThrow(/not ready/i)
})

testOnEach('%s: sandboxes are found by label, state and a prefix of their id', async (handler) => {
  await using pod = await runPod(daemon(), handler, { labels: { only: `here-${handler}` } })
  const found = async (...args: string[]) =>
    (await daemon().crictl('pods', '-q', '--no-trunc', ...args)).trim()
  expect(await found('--label', `only=here-${handler}`)).toBe(pod.id)
  expect(await found('--label', 'only=nowhere')).toBe('')
  expect(await found('--id', pod.id.slice(0, 13), '--state', 'Ready')).toBe(pod.id)
  expect(await found('--id', pod.id.slice(0, 13), '--state', 'NotReady')).toBe('')
})

const options = (namespaces: { readonly pid: number }) => ({
  linux: { security_context: { namespace_options: namespaces } },
})

const readSysctl = (name: string): string => readFileSync(`/proc/sys/${name}`, 'utf8')
