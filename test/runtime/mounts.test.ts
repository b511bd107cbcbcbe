import { expect, test } from 'vitest'
import type { ContainerMount } from '#runtime/container/record.ts'
import type { OciSpec } from '#runtime/oci-spec/oci-spec.ts'
import { containerSpec, sandboxSpec } from '#test/fakes/records.ts'
import { runtimeLab } from '#test/fakes/runtime-lab.ts'

const bind: ContainerMount = {
  containerPath: '/srv',
  hostPath: '/host',
  readonly: false,
  propagation: 'private',
}
const volume = (subPath: string, reference = 'model'): ContainerMount => ({
  ...{ containerPath: '/model', hostPath: '', readonly: true, propagation: 'private' },
  image: { reference, userSpecifiedImage: '', subPath },
})

/** The mounts of config.json by destination, of a container that asks for these. */
async function mountsOf(
  lab: ReturnType<typeof runtimeLab>,
  mounts: readonly ContainerMount[],
  handler = 'runc',
) {
  const sandboxId = await lab.runtime.sandboxes.run(sandboxSpec({ handler }))
  const id = await lab.runtime.containers.create(containerSpec({ sandboxId, mounts }))
  const ociSpec = lab.host.containers.get(id)?.ociSpec as OciSpec
  return { id, at: (path: string) => ociSpec.mounts.find(({ destination }) => destination === path) }
}

test('an image volume is mounted read-only, and its image stands in the record', async () => {
  const lab = runtimeLab()
  const { id, at } = await mountsOf(lab, [volume('weights')])
  expect(at('/model')).toMatchObject({
    source: `/image-volumes/${id}/0/weights`,
    options: ['rbind', 'rprivate', 'ro', 'nosuid', 'nodev'],
  })
  const { imageVolumes } = lab.runtime.containers.get(id)
  expect(imageVolumes).toEqual([
    { containerPath: '/model', imageId: expect.stringMatching(/^sha256:/), digest: expect.any(String) },
  ])
})

test.for([
  ['weights', 'missing', 'ImageVolumeMountFailed: image volume missing at /model: image missing not found'],
  ['missing', 'model', 'ImageVolumeMountFailed: image volume model at /model: there is no directory missing'],
] as const)('a sub path %s of an image %s that is not here fails as kubelet expects it', async (wanted) => {
  const [subPath, reference, says] = wanted
  const lab = runtimeLab()
  const failure = await mountsOf(lab, [volume(subPath, reference)]).catch((error: unknown) => error)
  expect(failure).toMatchObject({ kind: 'not-found', message: expect.stringMatching(`^${says}`) })
  expect(lab.host.left().filter((line) => /volume|rootfs|creating/.test(line))).toEqual([])
})

test("an image's VOLUMEs are directories of the container, but where the request mounts something", async () => {
  const { id, at } = await mountsOf(runtimeLab(), [bind])
  expect(at('/var/lib/data')).toMatchObject({
    source: `/volumes/${id}/0`,
    options: ['rbind', 'rprivate', 'rw'],
  })
  expect(at('/srv')?.source).toBe('/host')
})

test.for(['tmpfs', 'ignore'] as const)('VOLUMEs by configuration: %s', async (imageVolumes) => {
  const { at } = await mountsOf(runtimeLab(undefined, {}, { imageVolumes }), [])
  expect(at('/srv')).toEqual(
    imageVolumes === 'ignore'
      ? undefined
      : { destination: '/srv', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', 'tmpcopyup'] },
  )
})

test('default mounts are in every container, but where the request mounts something', async () => {
  const defaults = [
    { source: '/etc/pki', destination: '/etc/pki', type: 'bind', options: ['ro'] },
    { source: '', destination: '/run', type: 'tmpfs', options: ['mode=755'] },
    { source: '/other', destination: '/srv', type: 'bind', options: [] },
  ] as const
  const { at } = await mountsOf(runtimeLab(undefined, {}, { defaults }), [bind])
  expect(at('/etc/pki')).toMatchObject({ source: '/etc/pki', options: ['rbind', 'rprivate', 'ro'] })
  expect(at('/run')).toMatchObject({ source: 'tmpfs', options: ['mode=755'] })
  expect(at('/srv')?.source).toBe('/host')
})

test('a source that must not be made is refused where it is missing', async () => {
  const lab = runtimeLab(undefined, {}, { absentSourcesToReject: ['/missing'] })
  await expect(mountsOf(lab, [{ ...bind, hostPath: '/missing/below' }])).rejects.toThrow('does not exist')
  await expect(mountsOf(lab, [{ ...bind, hostPath: '/missing-too' }])).resolves.toBeDefined()
})

test('options that a handler does not say it knows are refused by name', async () => {
  const mounts = [{ ...bind, options: ['nodev', 'rnoexec'] }]
  await expect(mountsOf(runtimeLab(), mounts, 'crun')).rejects.toThrow(
    expect.objectContaining({
      kind: 'failed-precondition',
      message: expect.stringContaining("mount of /host at /srv: runtime handler crun can't make it rnoexec"),
    }),
  )
  const { at } = await mountsOf(runtimeLab(), mounts, 'runc')
  expect(at('/srv')?.options).toContain('rnoexec')
})
