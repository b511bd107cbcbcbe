import { expect, test } from 'vitest'
import { FakeHost } from '#test/fakes/fake-host.ts'
import { containerSpec, sandboxSpec } from '#test/fakes/records.ts'
import { runtimeLab } from '#test/fakes/runtime-lab.ts'

test('a container has the edits of the CDI devices that it asks for', async () => {
  const lab = runtimeLab()
  const sandboxId = await lab.runtime.sandboxes.run(sandboxSpec())
  const id = await lab.runtime.containers.create(
    containerSpec({ sandboxId, cdiDevices: ['vendor.com/gpu=0'] }),
  )
  expect(lab.host.containers.get(id)?.ociSpec.process).toMatchObject({
    env: expect.arrayContaining(['CDI_DEVICE=vendor.com/gpu=0']),
  })
})

test('what the OCI runtime would leave out unsaid is refused, and nothing is left', async () => {
  const host = new FakeHost()
  host.cdiEdits = { netDevices: [{ hostName: 'eth1', name: 'net1' }], intelRdt: { schemata: ['L3:0=f'] } }
  const lab = runtimeLab(host)
  const sandboxId = await lab.runtime.sandboxes.run(sandboxSpec())
  const before = host.left()
  await expect(
    lab.runtime.containers.create(containerSpec({ sandboxId, cdiDevices: ['vendor.com/nic=0'] })),
  ).rejects.toMatchObject({
    kind: 'failed-precondition',
    message: expect.stringContaining(
      "vendor.com/nic=0 needs netDevices and intelRdt.schemata, which runtime handler runc can't do",
    ),
  })
  expect(host.left()).toEqual(before)
})
