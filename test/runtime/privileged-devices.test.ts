import { expect, test } from 'vitest'
import type { HandlerSettings } from '#runtime/handler.ts'
import type { OciSpec } from '#runtime/oci-spec/oci-spec.ts'
import { FakeHost } from '#test/fakes/fake-host.ts'
import { containerSpec, sandboxSpec } from '#test/fakes/records.ts'
import { runtimeLab } from '#test/fakes/runtime-lab.ts'

const nothing = [{ allow: false, access: 'rwm' }]
const everything = [{ allow: true, access: 'rwm' }]

test.for<[settings: Partial<HandlerSettings>, devices: number, rules: object[]]>([
  [{}, 1, everything],
  [{ privilegedWithoutHostDevices: true }, 0, nothing],
  [
    { privilegedWithoutHostDevices: true, privilegedWithoutHostDevicesAllDevicesAllowed: true },
    0,
    everything,
  ],
])('a privileged container of a handler with %j', async ([settings, devices, rules]) => {
  const host = new FakeHost()
  const lab = runtimeLab(host, { runc: settings })
  const sandboxId = await lab.runtime.sandboxes.run(sandboxSpec({ handler: 'runc', privileged: true }))
  const { security } = containerSpec({ sandboxId })
  const id = await lab.runtime.containers.create(
    containerSpec({ sandboxId, security: { ...security, privileged: true } }),
  )
  const spec = host.containers.get(id)?.ociSpec as OciSpec | undefined
  expect(spec?.linux.devices).toHaveLength(devices)
  expect(spec?.linux.resources.devices).toEqual(rules)
})
