import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Message } from '#cri/client.ts'
import { HANDLERS } from './host.ts'
import * as manifests from './kubelet-manifests.ts'
import { type Node, useNode } from './kubelet-node.ts'
import { containerOf, isReady, type Manifest, type PodState } from './kubelet-pods.ts'
import { until } from './until.ts'

const END = 'end'
const ways = ['SIGTERM', 'SIGKILL'] as const
/** Of the RPCs that make a pod; each kill costs kubelet's pause of ten seconds. */
const steps = { crun: ['RunPodSandbox', 'CreateContainer', 'StartContainer'], runc: ['CreateContainer'] }

const pods = (evidence: string): readonly Manifest[] => [manifests.steady(), manifests.ends(evidence, END)]

describe.for(HANDLERS)('%s', (handler) => {
  const node = useNode(handler, pods, { restarts: true })
  daemonRestarts(node, steps[handler])
  kubeletRestarts(node)
})

function daemonRestarts(node: () => Node, kills: readonly string[]): void {
  test.for(ways)('%s of the daemon: containers run on, and kubelet starts none again', async (way) => {
    const { daemon, kubelet, running } = node()
    await kubelet.podThat('steady', 'ready', isReady)
    const before = await running('steady')
    await end(daemon, way)
    expect(existsSync(`/proc/${before.pid}`)).toBe(true)
    await daemon.start()
    await isProbedAgain(node())
    expect(await running('steady')).toEqual(before)
    const pod = await kubelet.podThat('steady', 'ready', isReady)
    expect(containerOf(pod)?.restartCount).toBe(0)
  })

  test('a container that ends while the daemon is away is started again after that', async () => {
    const { daemon, kubelet, running } = node()
    const pod = await kubelet.podThat('ends', 'ready', isReady)
    const { restartCount = 0 } = containerOf(pod) ?? {}
    const { pid } = await running('ends')
    await daemon.kill9()
    writeFileSync(join(daemon.directory, 'evidence/ends', END), '')
    await until('it has ended', () => !existsSync(`/proc/${pid}`))
    await daemon.start()
    const isAgain = (now: PodState): boolean =>
      isReady(now) && containerOf(now)?.restartCount === restartCount + 1
    const again = await kubelet.podThat('ends', 'started again', isAgain)
    expect(containerOf(again)?.lastState.terminated).toMatchObject({ exitCode: 7, reason: 'Error' })
  })

  test.for(kills)(
    'SIGKILL of the daemon once %s was served: the pods come all the same, once',
    async (step) => {
      const { daemon, kubelet, running, sandboxes } = node()
      const names = ['first', 'second', 'third']
      const from = daemon.log().length
      for (const name of names) kubelet.apply(manifests.plain(name))
      await until(`${step} was served`, () => daemon.log().slice(from).includes(`"method":"${step}"`))
      await daemon.kill9()
      await daemon.start()
      for (const name of names) {
        await kubelet.podThat(name, 'ready', isReady)
        await running(name)
        expect((await sandboxes(name)).filter(isUp)).toHaveLength(1)
        kubelet.remove(name)
      }
      for (const name of names) await ended(node(), name)
    },
  )

  test('a manifest removed while the daemon is away: the pod ends after that', async () => {
    const { daemon, kubelet } = node()
    kubelet.apply(manifests.plain('leaving'))
    await kubelet.podThat('leaving', 'ready', isReady)
    await daemon.stop()
    kubelet.remove('leaving')
    await daemon.start()
    await ended(node(), 'leaving')
  })
}

function kubeletRestarts(node: () => Node): void {
  test.for(ways)('%s of kubelet: the containers are the same after its start', async (way) => {
    const { kubelet, running } = node()
    await kubelet.podThat('steady', 'ready', isReady)
    const before = await running('steady')
    await end(kubelet, way)
    await kubelet.start()
    await isProbedAgain(node())
    expect(await running('steady')).toEqual(before)
    const pod = await kubelet.podThat('steady', 'ready', isReady)
    expect(containerOf(pod)?.restartCount).toBe(0)
  })

  test('a manifest removed while kubelet is away: the pod ends after its start', async () => {
    const { kubelet } = node()
    kubelet.apply(manifests.plain('orphan'))
    await kubelet.podThat('orphan', 'ready', isReady)
    await kubelet.stop()
    kubelet.remove('orphan')
    await kubelet.start()
    await ended(node(), 'orphan')
  })
}

const end = (one: Pick<Node['daemon'], 'stop' | 'kill9'>, way: (typeof ways)[number]): Promise<void> =>
  way === 'SIGTERM' ? one.stop() : one.kill9()

/** By both probes, in turns that began since: by then kubelet has also looked at all pods. */
async function isProbedAgain({ daemon }: Node): Promise<void> {
  const from = daemon.log().length
  const probes = () => daemon.log().slice(from).split('"method":"ExecSync"').length - 1
  await until('it was probed again', () => probes() >= 4, 30_000)
}

const isUp = ({ state }: Message): boolean => state === 'SANDBOX_READY'

const ended = ({ sandboxes }: Node, name: string): Promise<void> =>
  until(`pod ${name} has ended`, async () => !(await sandboxes(name)).some(isUp), 30_000)
