import { expect, test } from 'vitest'
import type { Node } from './kubelet-node.ts'
import { containerOf, type PodState } from './kubelet-pods.ts'

/** What kubelet makes of containers that fail, and of one that never begins. */
export function failures(node: () => Node): void {
  test.for(['exec', 'http', 'tcp'])(
    'a container whose %s liveness probe fails is started again',
    async (name) => {
      const hasRestarted = (pod: PodState): boolean => (containerOf(pod, name)?.restartCount ?? 0) > 0
      const pod = await node().kubelet.podThat('unwell', `${name} was started again`, hasRestarted)
      expect(containerOf(pod, name)?.lastState.terminated).toMatchObject({ exitCode: 137, reason: 'Error' })
    },
  )

  test('a container that crashes is started again, with a back-off', async () => {
    const hasBackedOff = (pod: PodState): boolean => {
      const { restartCount = 0, state } = containerOf(pod) ?? {}
      return restartCount >= 2 && state?.waiting?.reason === 'CrashLoopBackOff'
    }
    const pod = await node().kubelet.podThat('crash', 'in its back-off', hasBackedOff)
    expect(containerOf(pod)?.lastState.terminated).toMatchObject({
      exitCode: 3,
      reason: 'Error',
      message: 'why\n',
    })
  })

  test('a container beyond its memory limit is OOMKilled', async () => {
    const hasEnded = (pod: PodState): boolean => containerOf(pod)?.state.terminated !== undefined
    const pod = await node().kubelet.podThat('hog', 'ended', hasEnded)
    expect(pod.status.phase).toBe('Failed')
    expect(containerOf(pod)?.state.terminated).toMatchObject({ exitCode: 137, reason: 'OOMKilled' })
  })

  test('a pod whose registry does not answer waits for that reason, which names the endpoint', async () => {
    const isTold = (pod: PodState): boolean => /connection refused/.test(waitingOf(pod))
    const pod = await node().kubelet.podThat('unpullable', 'waiting for its registry', isTold)
    expect(waitingOf(pod)).toMatch(
      /RegistryUnavailable: image pull failed for \S+ because the registry is unavailable: /,
    )
    expect(waitingOf(pod)).toContain('127.0.0.1:1/v2/no/such/manifests/1')
  })
}

/** The reason and the message of its container's waiting, in which a back-off quotes the failure before it. */
const waitingOf = (pod: PodState): string => {
  const { reason = '', message = '' } = containerOf(pod)?.state?.waiting ?? {}
  return `${reason}: ${message}`
}
