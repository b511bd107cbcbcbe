import { expect, test } from 'vitest'
import type { ContainerDefaults } from '#runtime/container-defaults.ts'
import type { OciSpec } from '#runtime/oci-spec/oci-spec.ts'
import { FakeHost } from '#test/fakes/fake-host.ts'
import { containerSpec, sandboxSpec } from '#test/fakes/records.ts'
import { runtimeLab } from '#test/fakes/runtime-lab.ts'

type Specs = {
  readonly container?: Parameters<typeof containerSpec>[0]
  readonly annotations?: { readonly [name: string]: string }
}

/** config.json of a container on a node with these defaults. */
async function configJson(defaults: Partial<ContainerDefaults>, { container, annotations = {} }: Specs = {}) {
  const host = new FakeHost()
  const { runtime } = runtimeLab(host, {}, {}, defaults)
  const sandboxId = await runtime.sandboxes.run(sandboxSpec({ annotations }))
  const id = await runtime.containers.create(containerSpec({ sandboxId, ...container }))
  return JSON.parse(JSON.stringify(host.containers.get(id)?.ociSpec)) as OciSpec
}

const device = (path: string) => ({ hostPath: path, containerPath: path, permissions: 'rw' })
const security = containerSpec().security

test("variables of the node are under those of the image and the request's", async () => {
  const { process } = await configJson(
    { env: ['PATH=/node', 'A=node', 'B=node'] },
    { container: { env: [{ name: 'B', value: 'mine' }] } },
  )
  expect(process.env).toEqual(expect.arrayContaining(['PATH=/bin', 'A=node', 'B=mine']))
})

test('limits and capabilities are those of the node', async () => {
  const { process } = await configJson({
    limits: [
      { type: 'RLIMIT_NOFILE', soft: 5, hard: 6 },
      { type: 'RLIMIT_CORE', soft: 0, hard: Number.POSITIVE_INFINITY },
    ],
    capabilities: ['CAP_KILL'],
  })
  expect(process.rlimits).toEqual([
    { type: 'RLIMIT_NOFILE', soft: 5, hard: 6 },
    { type: 'RLIMIT_CORE', soft: 0, hard: 2 ** 64 },
  ])
  expect(process.capabilities.effective).toEqual(['CAP_KILL'])
})

test("devices of the node, of annotations and of the request are there, a container's annotation over the pod's", async () => {
  const name = 'io.kubernetes.cri-o.Devices'
  const { linux } = await configJson(
    { devices: [device('/dev/node')], allowedDevices: ['/dev/fuse', '/dev/kvm'] },
    {
      annotations: { [name]: '/dev/none' },
      container: { devices: [device('/dev/mine')], annotations: { [name]: '/dev/fuse:/dev/f:r, /dev/kvm' } },
    },
  )
  expect(linux.devices.map(({ path }) => path)).toEqual(['/dev/node', '/dev/f', '/dev/kvm', '/dev/mine'])
})

test.for<[string, string]>([
  ['/dev/sda', 'asks for /dev/sda, which this node does not allow'],
  ['sda', 'has "sda": it may be /dev/host:/dev/container:rwm'],
])('the annotation %s is refused', async ([value, message]) => {
  const annotations = { 'io.kubernetes.cri-o.Devices': value }
  await expect(configJson({}, { annotations })).rejects.toMatchObject({
    kind: 'invalid-argument',
    message: expect.stringContaining(message),
  })
})

test('device nodes belong to the user that the request names, where the node wants it', async () => {
  const user = { user: '1000', group: 2000, supplementalGroups: [] }
  const ownerOf = async (devicesOfUser: boolean, over: object) => {
    const container = {
      devices: [device('/dev/mine')],
      security: { ...security, user: { ...user, ...over } },
    }
    const [{ uid, gid } = {}] = (await configJson({ devicesOfUser }, { container })).linux.devices
    return [uid, gid]
  }
  expect(await ownerOf(true, {})).toEqual([1000, 2000])
  expect(await ownerOf(true, { group: undefined })).toEqual([1000, 0])
  expect(await ownerOf(false, {})).toEqual([0, 0])
})
