import { expect, test } from 'vitest'
import { FakeHost } from '#test/fakes/fake-host.ts'
import { containerSpec, sandboxSpec } from '#test/fakes/records.ts'
import { runtimeLab } from '#test/fakes/runtime-lab.ts'

const lab = (host: FakeHost) => runtimeLab(host, { runsc: { sandbox: 'container' } })
const spec = sandboxSpec({ handler: 'runsc' })

test('a handler whose sandboxes are containers gets one, which is marked as such and started first', async () => {
  const host = new FakeHost()
  const { runtime } = lab(host)
  const id = await runtime.sandboxes.run(spec)
  expect(host.containers.get(id)).toMatchObject({
    phase: 'running',
    ociSpec: {
      annotations: { 'io.kubernetes.cri.container-type': 'sandbox', 'io.kubernetes.cri.sandbox-id': id },
    },
  })
  const container = await runtime.containers.create(containerSpec({ sandboxId: id }))
  expect(host.containers.get(container)).toMatchObject({
    ociSpec: {
      annotations: { 'io.kubernetes.cri.container-type': 'container', 'io.kubernetes.cri.sandbox-id': id },
    },
  })
  await runtime.sandboxes.stop(id)
  expect(host.containers.has(id)).toBe(false)
})

test('a sandbox whose container ends is stopped with all that lived in it', async () => {
  const host = new FakeHost()
  const { runtime } = lab(host)
  const id = await runtime.sandboxes.run(spec)
  host.exit(id, 137)
  await expect.poll(() => runtime.sandboxes.get(id).state.phase).toBe('stopped')
})

test('other handlers get no container for a pod without a shared PID namespace', async () => {
  const host = new FakeHost()
  const id = await lab(host).runtime.sandboxes.run(sandboxSpec({ handler: 'runc' }))
  expect(host.containers.has(id)).toBe(false)
})
