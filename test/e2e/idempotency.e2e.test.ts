import { expect } from 'vitest'
import { testOnEach, useDaemon } from './host.ts'
import { containerConfig, podConfig, runPod } from './pod.ts'

const daemon = useDaemon()

testOnEach(
  '%s: the same RunPodSandbox again answers the first sandbox, also at the same time',
  async (handler) => {
    const config = podConfig(daemon())
    const run = async () =>
      (await daemon().rpc('RunPodSandbox', { config, runtime_handler: handler }))['pod_sandbox_id']
    const ids = await Promise.all([run(), run(), run()])
    expect(new Set([...ids, await run()]).size).toBe(1)
    await daemon().rpc('RemovePodSandbox', { pod_sandbox_id: ids[0] })
  },
)

testOnEach(
  '%s: another config of the same name and attempt is ALREADY_EXISTS and names the first',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const config = { ...pod.config, hostname: 'another' }
    const call = daemon().rpc('RunPodSandbox', { config, runtime_handler: handler })
    await expect(call).rejects.toMatchObject({
      code: 6,
      details: expect.stringContaining(pod.id.slice(0, 13)),
    })
  },
)

testOnEach('%s: the next attempt of a pod is another sandbox', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const metadata = { ...(pod.config['metadata'] as object), attempt: 1 }
  await using next = await runPod(daemon(), handler, { ...pod.config, metadata })
  expect(next.id).not.toBe(pod.id)
})

testOnEach(
  '%s: the same CreateContainer again answers the first container, also at the same time',
  async (handler) => {
    await using pod = await runPod(daemon(), handler)
    const request = { pod_sandbox_id: pod.id, config: containerConfig(), sandbox_config: pod.config }
    const create = async () => (await daemon().rpc('CreateContainer', request))['container_id']
    const ids = await Promise.all([create(), create(), create()])
    expect(new Set([...ids, await create()]).size).toBe(1)

    const other = { ...request, config: { ...request.config, command: ['true'] } }
    await expect(daemon().rpc('CreateContainer', other)).rejects.toMatchObject({ code: 6 })
  },
)

testOnEach('%s: a caller that hangs up costs nothing: the retry gets what was made', async (handler) => {
  const config = podConfig(daemon())
  const request = { config, runtime_handler: handler }
  await expect(daemon().rpc('RunPodSandbox', request, { timeoutMs: 5 })).rejects.toMatchObject({ code: 4 })
  const { pod_sandbox_id: id } = await daemon().rpc('RunPodSandbox', request)
  expect((await daemon().rpc('ListPodSandbox'))['items']).toMatchObject([{ id }])
  await daemon().rpc('RemovePodSandbox', { pod_sandbox_id: id })
})

testOnEach('%s: unknown ids: stopping and removing succeed, all else is NOT_FOUND', async (handler) => {
  await using pod = await runPod(daemon(), handler)
  const gone = 'f'.repeat(64)
  await daemon().rpc('StopPodSandbox', { pod_sandbox_id: gone })
  await daemon().rpc('RemovePodSandbox', { pod_sandbox_id: gone })
  await daemon().rpc('StopContainer', { container_id: gone })
  await daemon().rpc('RemoveContainer', { container_id: gone })
  await daemon().rpc('RemoveImage', { image: { image: 'localhost/no/such:image' } })
  const { image } = await daemon().rpc('ImageStatus', { image: { image: 'localhost/no/such:image' } })
  expect(image).toBeNull()

  const refused = [
    daemon().rpc('PodSandboxStatus', { pod_sandbox_id: gone }),
    daemon().rpc('ContainerStatus', { container_id: gone }),
    daemon().rpc('StartContainer', { container_id: gone }),
    daemon().rpc('ExecSync', { container_id: gone, cmd: ['true'] }),
    daemon().rpc('ReopenContainerLog', { container_id: gone }),
    daemon().rpc('UpdateContainerResources', { container_id: gone, linux: {} }),
    daemon().rpc('CreateContainer', {
      pod_sandbox_id: gone,
      config: containerConfig(),
      sandbox_config: pod.config,
    }),
  ]
  for (const call of refused)
    await expect(call).rejects.toMatchObject({ code: 5, details: expect.stringContaining(gone) })
})

testOnEach('%s: an empty id is INVALID_ARGUMENT, an ambiguous prefix an error', async (handler) => {
  for (const [rpc, field] of [
    ['StopPodSandbox', 'pod_sandbox_id'],
    ['RemovePodSandbox', 'pod_sandbox_id'],
    ['PodSandboxStatus', 'pod_sandbox_id'],
    ['StopContainer', 'container_id'],
    ['RemoveContainer', 'container_id'],
    ['ContainerStatus', 'container_id'],
  ] as const) {
    await expect(daemon().rpc(rpc, { [field]: '' })).rejects.toMatchObject({ code: 3 })
  }
  await using pods = new AsyncDisposableStack()
  const seen = new Set<string>()
  for (;;) {
    const pod = pods.use(
      await runPod(daemon(), handler, {
        linux: { security_context: { namespace_options: { network: 2 } } },
        hostname: '',
      }),
    )
    const digit = pod.id.slice(0, 1)
    if (seen.has(digit)) {
      await expect(daemon().rpc('PodSandboxStatus', { pod_sandbox_id: digit })).rejects.toMatchObject({
        details: expect.stringContaining('ambiguous'),
      })
      return
    }
    seen.add(digit)
  }
})
