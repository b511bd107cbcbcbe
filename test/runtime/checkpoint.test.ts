import { describe, expect, test } from 'vitest'
import { savedImage } from '#test/fakes/fake-checkpoints.ts'
import { FakeHost } from '#test/fakes/fake-host.ts'
import { busybox } from '#test/fakes/fake-ports.ts'
import { containerSpec, sandboxSpec } from '#test/fakes/records.ts'
import { runtimeLab } from '#test/fakes/runtime-lab.ts'

async function containerOn(
  handler: string,
  fields: Partial<ReturnType<typeof containerSpec>> = {},
  lab = runtimeLab(),
) {
  const sandboxId = await lab.runtime.sandboxes.run(sandboxSpec({ handler }))
  const id = await lab.runtime.containers.create(containerSpec({ sandboxId, ...fields }))
  return { ...lab, sandboxId, id }
}

test('an archive tells of its container, and that runs on', async () => {
  const { runtime, host, id } = await containerOn('runc', {
    imageReference: 'busybox',
    userSpecifiedImage: '',
  })
  await runtime.containers.start(id)
  await runtime.containers.checkpoint(id, '/web.tar', 0)

  expect(host.archives.get('/web.tar')).toMatchObject({
    ...{ containerId: id, handler: 'runc', images: [busybox.id, 'busybox'] },
    ociSpec: { process: expect.anything() as object },
  })
  expect(host.left()).not.toContain(`frozen ${id}`)
  expect(runtime.containers.get(id).state.phase).toBe('running')
})

test('a container that does not run has no state to write', async () => {
  const { runtime, host, id } = await containerOn('runc')
  await expect(runtime.containers.checkpoint(id, '/web.tar', 0)).rejects.toMatchObject({
    ...{ kind: 'failed-precondition', message: `container ${id} is created, not running` },
  })
  expect(host.archives.size).toBe(0)
})

test('a handler without CRIU says what it takes, to write a checkpoint and to go on from one', async () => {
  const { runtime, id, sandboxId } = await containerOn('crun')
  await runtime.containers.start(id)
  const refusal = {
    kind: 'failed-precondition',
    message: expect.stringContaining(
      "runtime handler crun can't checkpoint and restore containers on this host: it takes criu in PATH",
    ) as string,
  }
  await expect(runtime.containers.checkpoint(id, '/web.tar', 0)).rejects.toMatchObject(refusal)
  const spec = containerSpec({ sandboxId, name: 'restored', imageReference: '/web.tar' })
  await expect(runtime.containers.create(spec)).rejects.toMatchObject(refusal)
  expect(runtime.containers.list()).toHaveLength(1)
})

test('a container that goes on from a checkpoint is one of the image that it ran from', async () => {
  const { runtime, host, id } = await containerOn('runc', { imageReference: '/web.tar' })
  expect(runtime.containers.get(id)).toMatchObject({ imageId: busybox.id, state: { phase: 'created' } })
  expect(host.left()).not.toContain(`checkpoint of ${id}`)
})

test('an image that holds a checkpoint is refused unless the node trusts who makes images', async () => {
  await expect(containerOn('runc', { imageReference: savedImage.name })).rejects.toMatchObject({
    kind: 'failed-precondition',
    message: expect.stringContaining('set runtime.restore_checkpoint_images on a node') as string,
  })
})

describe('where the node trusts who makes images, one that holds a checkpoint', () => {
  const trusting = () => runtimeLab(new FakeHost(), {}, {}, {}, { restoresImages: true })

  test('is gone on from', async () => {
    const { runtime, id } = await containerOn('runc', { imageReference: savedImage.name }, trusting())
    expect(runtime.containers.get(id)).toMatchObject({ imageId: busybox.id, state: { phase: 'created' } })
  })

  test.for([savedImage.name, busybox.id])('is refused when the policy refuses %s', async (refused) => {
    const lab = trusting()
    lab.host.unverified.add(refused)
    await expect(containerOn('runc', { imageReference: savedImage.name }, lab)).rejects.toMatchObject({
      kind: 'unverified',
      message: `${refused} is not signed`,
    })
    expect(lab.effects.journal.includes('checkpoints.open')).toBe(refused === busybox.id)
    expect(lab.host.checkpoints.size).toBe(0)
  })
})

test('an archive is root’s own, which no policy is asked about', async () => {
  const lab = runtimeLab()
  lab.host.unverified.add('/web.tar')
  await expect(containerOn('runc', { imageReference: '/web.tar' }, lab)).resolves.toBeDefined()
})

test('a mount that the checkpoint had is asked for by its place', async () => {
  await expect(containerOn('runc', { imageReference: '/with-mounts.tar' })).rejects.toMatchObject({
    kind: 'invalid-argument',
    message: expect.stringContaining('mounts at /data: give mounts with these container_paths') as string,
  })
})
