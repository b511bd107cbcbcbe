import { expect, test } from 'vitest'
import { containerSpec, sandboxSpec } from '#test/fakes/records.ts'
import { runtimeLab } from '#test/fakes/runtime-lab.ts'

const rdt = 'rdt.resources.beta.kubernetes.io'

test.for([
  [
    { 'io.kubernetes.cri.rdt-class': 'own' },
    { [`${rdt}/pod`]: 'pod', [`${rdt}/container.app`]: 'named' },
    'own',
  ],
  [{}, { [`${rdt}/pod`]: 'pod', [`${rdt}/container.app`]: 'named' }, 'named'],
  [{}, { [`${rdt}/pod`]: 'pod', [`${rdt}/container.other`]: 'named' }, 'pod'],
  [{}, {}, undefined],
] as const)(
  'with annotations %o of a container and %o of its pod the class is %s',
  async ([own, pod, closID]) => {
    const { runtime, host } = runtimeLab()
    const sandboxId = await runtime.sandboxes.run(sandboxSpec({ annotations: pod }))
    const id = await runtime.containers.create(containerSpec({ sandboxId, name: 'app', annotations: own }))
    const { linux } = { linux: {}, ...host.containers.get(id)?.ociSpec } as { linux: { intelRdt?: object } }
    expect(linux).toHaveProperty('cgroupsPath')
    expect(linux.intelRdt).toEqual(closID === undefined ? undefined : { closID })
  },
)

test("a blockio class's limits are among the container's resources", async () => {
  const { runtime, host } = runtimeLab()
  const annotations = { 'blockio.resources.beta.kubernetes.io/pod': 'slow' }
  const sandboxId = await runtime.sandboxes.run(sandboxSpec({ annotations }))
  const id = await runtime.containers.create(containerSpec({ sandboxId }))
  expect(host.containers.get(id)?.ociSpec).toMatchObject({
    linux: { resources: { blockIO: { weight: 500 } } },
  })
})
