import { existsSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { memoryCgroup } from './cgroup-driver.ts'
import { HANDLERS } from './host.ts'
import { failures } from './kubelet-failures.ts'
import { kubeletCgroup, settingsOfKubelet } from './kubelet-host.ts'
import * as manifests from './kubelet-manifests.ts'
import { type Node, useNode } from './kubelet-node.ts'
import { isReady, type Manifest, type PodState } from './kubelet-pods.ts'
import {
  aroundRotation,
  cgroupsNamed,
  isAlive,
  limitsOf,
  pageOf,
  podDirectory,
  restartsOf,
  statusOf,
  summaryOf,
} from './kubelet-traces.ts'
import { until } from './until.ts'

const pods = (evidence: string): readonly Manifest[] => [
  manifests.web(),
  manifests.unwell(),
  manifests.crash(),
  manifests.unpullable(),
  manifests.hog(),
  manifests.limited(),
  manifests.hostNetwork(),
  manifests.restricted(),
  manifests.sidecar(evidence),
  manifests.slow(evidence),
  manifests.talker(),
  manifests.edited('before'),
]

describe.for(HANDLERS)('%s', (handler) => {
  // kubelet has two ways to statistics of pods: by cAdvisor, and by the CRI.
  const asksForPods = handler === 'runc'
  const node = useNode(handler, pods, {
    featureGates: { PodAndContainerStatsFromCRI: asksForPods },
    collects: handler === 'crun',
  })
  webServer(node)
  failures(node)
  settings(node)
  statistics(node, asksForPods)
  terminations(node)
  changes(node)
})

function webServer(node: () => Node): void {
  test('a web server is ready by its HTTP, TCP and exec probes, and is not while its page is missing', async () => {
    const { kubelet } = node()
    const { status } = await kubelet.podThat('web', 'ready', isReady)
    expect(await pageOf(status.podIP)).toBe('one two\n')

    const run = '/run/default/web-node/http?cmd='
    expect((await kubelet.post(`${run}rm%20/www/index.html`)).status).toBe(200)
    await kubelet.podThat('web', 'not ready', (pod) => !isReady(pod))
    expect((await kubelet.post(`${run}cp%20-v%20/memory/kept%20/www/index.html`)).body).toContain(
      '/memory/kept',
    )
    const again = await kubelet.podThat('web', 'ready again', isReady)
    expect(restartsOf(again)).toEqual([0, 0, 0])
  })

  test('init containers run one after the other', async () => {
    const { status } = await node().kubelet.podThat('web', 'ready', isReady)
    const ends = status.initContainerStatuses?.map(({ state }) => state.terminated)
    expect(ends).toMatchObject([{ reason: 'Completed' }, { reason: 'Completed' }])
    expect(Date.parse(`${ends?.[1]?.startedAt}`)).toBeGreaterThanOrEqual(
      Date.parse(`${ends?.[0]?.finishedAt}`),
    )
  })

  test('an emptyDir in memory is a tmpfs for all containers of the pod', async () => {
    const { kubelet, running } = node()
    await kubelet.podThat('web', 'ready', isReady)
    for (const name of ['http', 'exec']) {
      const { pid } = await running('web', name)
      expect(readFileSync(`/proc/${pid}/mountinfo`, 'utf8')).toMatch(/ \/memory rw.* - tmpfs /)
      expect(readFileSync(`/proc/${pid}/root/memory/kept`, 'utf8')).toBe('one two\n')
    }
  })
}

function settings(node: () => Node): void {
  test("limits and requests are those of the container's cgroup, below that of its pod", async () => {
    const { kubelet, running } = node()
    const { metadata } = await kubelet.podThat('limited', 'ready', isReady)
    const { pid } = await running('limited')
    expect(limitsOf(pid)).toEqual({ memory: `${64 << 20}`, cpu: '50000 100000' })
    const { directory } = memoryCgroup(pid)
    expect(directory).toContain(kubeletCgroup())
    expect(directory).toMatch(new RegExp(`kubepods[/-]burstable[/-]pod${metadata.uid}(?:\\.slice)?/`))
    expect(Number(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8'))).toBeGreaterThan(900)
  })

  test("a pod in the host's network serves on the host's addresses", async () => {
    const { kubelet, running } = node()
    await kubelet.podThat('host', 'ready', isReady)
    expect(await pageOf('127.0.0.1', manifests.HOST_PORT)).toBe('from the host\n')
    const { pid } = await running('host')
    expect(readlinkSync(`/proc/${pid}/ns/net`)).toBe(readlinkSync('/proc/self/ns/net'))
  })

  test('a container has the identity, the capabilities and the sysctls of its pod', async () => {
    const { kubelet, running } = node()
    const { status } = await kubelet.podThat('restricted', 'ready', isReady)
    expect(await pageOf(status.podIP)).toBe('of nobody\n')
    const { pid } = await running('restricted')
    expect(statusOf(pid, 'Uid')).toEqual(Array(4).fill('1000'))
    expect(statusOf(pid, 'Gid')).toEqual(Array(4).fill('1001'))
    expect(statusOf(pid, 'Groups')).toContain('1002')
    for (const set of ['CapPrm', 'CapEff', 'CapBnd']) expect(statusOf(pid, set)).toEqual(['0'.repeat(16)])
    expect(statusOf(pid, 'NoNewPrivs')).toEqual(['1'])
    expect(readFileSync(`/proc/${pid}/mountinfo`, 'utf8')).toMatch(/ \/ \/ ro,/)
  })
}

function statistics(node: () => Node, asksForPods: boolean): void {
  test('kubelet has statistics of the node, of pods and of containers', async () => {
    const { kubelet } = node()
    const known = async () => {
      const summary = await summaryOf(kubelet)
      const pod = summary.pods.find(({ podRef }) => podRef.name === 'limited-node')
      return { imageFs: summary.node.runtime.imageFs, network: pod?.network, main: pod?.containers?.[0] }
    }
    // It asks every ten seconds; how much a second that is takes two answers.
    await until('they are known', async () => Number((await known()).main?.cpu?.usageNanoCores) > 0, 40_000)
    const { imageFs, network, main } = await known()
    expect(imageFs.usedBytes).toBeGreaterThan(0)
    expect(main?.cpu?.usageCoreNanoSeconds).toBeGreaterThan(0)
    expect(main?.memory?.workingSetBytes).toBeGreaterThan(0)
    expect(Number(main?.memory?.workingSetBytes) + Number(main?.memory?.availableBytes)).toBe(64 << 20)
    expect(main?.rootfs?.usedBytes).toBeGreaterThan(0)
    // cAdvisor looks for them in a process of the sandbox.
    if (asksForPods) expect(network?.rxBytes).toBeGreaterThan(0)
  })
}

function terminations(node: () => Node): void {
  test('a sidecar runs before the container, and ends after it', async () => {
    const { kubelet, running, evidence } = node()
    await kubelet.podThat('sidecar', 'ready', isReady)
    const sides = [await running('sidecar'), await running('sidecar', 'side')]
    kubelet.remove('sidecar')
    await until('both have ended', () => !sides.some(isAlive), 30_000)
    expect(evidence('sidecar', 'events')).toBe('side runs\nmain runs\nmain ends\nside ends\n')
  })

  test('a container that minds no signal is killed after its preStop hook and its grace period', async () => {
    const { kubelet, running, evidence } = node()
    await kubelet.podThat('slow', 'ready', isReady)
    const main = await running('slow')
    const removed = Date.now()
    kubelet.remove('slow')
    await until('it has ended', () => !isAlive(main), 30_000)
    expect(Date.now() - removed).toBeGreaterThanOrEqual(manifests.GRACE_SECONDS * 1000)
    expect(evidence('slow', 'events')).toBe('preStop\nTERM\n')
  })
}

function changes(node: () => Node): void {
  test('an edited manifest replaces its pod, and with a removed one all goes that the pod had', async () => {
    const { kubelet, daemon, sandboxes } = node()
    const before = await kubelet.podThat('edited', 'ready', isReady)
    expect(await pageOf(before.status.podIP)).toBe('before\n')

    kubelet.apply(manifests.edited('after'))
    const isAnother = (pod: PodState): boolean => pod.metadata.uid !== before.metadata.uid && isReady(pod)
    const after = await kubelet.podThat('edited', 'another, and ready', isAnother)
    expect(await pageOf(after.status.podIP)).toBe('after\n')

    const ids = (await sandboxes('edited')).map(({ id }) => String(id))
    const traces = (): readonly string[] => [
      ...ids.map((id) => `/run/netns/cri-ts-${id}`),
      ...[before, after].map(({ status }) => join(daemon.directory, 'cni/pods', `${status.podIP}`)),
      ...[before, after].map(({ metadata }) => podDirectory(metadata.uid)),
    ]
    const there = () => traces().filter((path) => existsSync(path))
    expect(there()).toHaveLength(3)
    expect(cgroupsNamed(after.metadata.uid)).not.toEqual([])
    kubelet.remove('edited')
    await until(
      'no trace is left',
      () =>
        there().length +
          cgroupsNamed(before.metadata.uid).length +
          cgroupsNamed(after.metadata.uid).length ===
        0,
      30_000,
    )
  })

  test('logs are rotated without the loss of a line, and answered by kubelet', async () => {
    const { kubelet } = node()
    const { metadata } = await kubelet.podThat('talker', 'ready', isReady)
    const directory = `/var/log/pods/default_talker-node_${metadata.uid}/main`
    let numbers: readonly number[] = []
    const isRotated = (): boolean => {
      numbers = aroundRotation(directory)
      return numbers.length > 0
    }
    await until('it is rotated', isRotated, 30_000)
    expect(numbers).toEqual(numbers.map((_, index) => Number(numbers[0]) + index))

    const { body } = await kubelet.get('/containerLogs/default/talker-node/main?tailLines=1')
    expect(body).toMatch(/^line \d+ of many\n$/)
  })

  test('kubelet wrote its settings of the kernel to files of ours', () => {
    expect(settingsOfKubelet(node().daemon.directory)).toContain('vm/overcommit_memory = 1')
  })
}
