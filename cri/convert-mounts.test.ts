import { expect, test } from 'vitest'
import { ImageSpec, Mount, MountPropagation } from '#proto/gen/runtime/v1/api.ts'
import { convertMount, mountToWire } from './convert-mounts.ts'

const empty = Mount.decode(new Uint8Array())
const image: ImageSpec = {
  ...ImageSpec.decode(new Uint8Array()),
  image: 'sha256:1',
  userSpecifiedImage: 'model:1',
}
const volume: Mount = { ...empty, containerPath: '/model', readonly: true, image, imageSubPath: 'weights/v1' }
const convert = (mount: Mount) => convertMount(mount, 0)

test('an image volume is a read-only mount without a host path', () => {
  expect(convert(volume)).toEqual({
    ...{ containerPath: '/model', hostPath: '', readonly: true, propagation: 'private' },
    image: { reference: 'sha256:1', userSpecifiedImage: 'model:1', subPath: 'weights/v1' },
  })
})

test('the status of an image volume has the digest of its image', () => {
  const found = { containerPath: '/model', imageId: 'sha256:1', digest: 'registry.test/model@sha256:2' }
  const mounted = { ...convert({ ...volume, mountOptions: ['noexec'] }) }
  expect(mountToWire(mounted, [found])).toEqual({
    ...volume,
    mountOptions: ['noexec'],
    image: { ...image, imageRef: 'registry.test/model@sha256:2' },
  })
})

test.for<[changes: Partial<Mount>, says: string]>([
  [{ hostPath: '/srv' }, 'mounts[0].host_path is /srv, and there is an image'],
  [{ readonly: false }, 'mounts[0].readonly is false, but an image is never written to'],
  [{ propagation: MountPropagation.PROPAGATION_BIDIRECTIONAL }, 'mounts[0].propagation is 2'],
  [{ image: { ...image, image: '' } }, 'mounts[0].image.image is empty'],
  [{ image: undefined }, 'mounts[0].image_sub_path is weights/v1, but there is no image'],
  [{ imageSubPath: '/etc' }, 'mounts[0].image_sub_path is "/etc"'],
  [{ imageSubPath: 'a/../../b' }, 'mounts[0].image_sub_path is "a/../../b"'],
  [{ mountOptions: ['exec'] }, 'mounts[0].mount_options has "exec"'],
  [{ containerPath: 'model' }, 'mounts[0].container_path is "model"'],
])('an image volume with %o is refused by name', ([changes, says]) => {
  expect(() => convert({ ...volume, ...changes })).toThrow(
    expect.objectContaining({ kind: 'invalid-argument', message: expect.stringContaining(says) }),
  )
})
