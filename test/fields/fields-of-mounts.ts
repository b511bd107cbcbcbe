import { join } from 'node:path'
import { expect } from 'vitest'
import {
  type ContainerGroup,
  each,
  elsewhere,
  executed,
  mountedAt,
  none,
  shows,
  statusOf,
  under,
} from './field-row.ts'
import { FIELDS_IMAGE, HOST } from './lab.ts'

const HOST_TO_CONTAINER = 1
const forPulls = none('it counts while an image is pulled')

/** One id of the volume's files, which the container sees as another. */
const mapping = [{ container_id: 5, host_id: 1_000_000, length: 1 }]
const owners = executed('stat', '-c', '%u:%g', '/m/mapped/first', '/m/mapped/next')
const mapped = shows(owners, '1000000:1000000\n65534:65534')
const mappingFields = ['host_id', 'container_id', 'length']

export const mounts: ContainerGroup = {
  base: {
    mounts: [
      { container_path: '/m/data', host_path: join(HOST, 'data'), readonly: true, mount_options: ['noexec'] },
      { container_path: '/m/slave', host_path: join(HOST, 'slave'), propagation: HOST_TO_CONTAINER },
      {
        ...{ container_path: '/m/mapped', host_path: join(HOST, 'mapped') },
        ...{ uidMappings: mapping, gidMappings: mapping },
      },
      { container_path: '/m/all', host_path: HOST, readonly: true, recursive_read_only: true },
      {
        ...{ container_path: '/m/image', readonly: true, image_sub_path: 'from/the' },
        image: { image: FIELDS_IMAGE, user_specified_image: 'volume:of-the-user' },
      },
    ],
  },
  rows: under('config.mounts', {
    container_path: shows(mountedAt('/m/data'), expect.any(String)),
    host_path: shows(executed('cat', '/m/data/file'), 'of the host'),
    readonly: shows(mountedAt('/m/data'), expect.stringMatching(/ \/m\/data ro,/)),
    mount_options: shows(mountedAt('/m/data'), expect.stringMatching(/ \/m\/data ro,(\w+,)*noexec/)),
    propagation: shows(mountedAt('/m/slave'), expect.stringContaining(' master:')),
    ...under('uidMappings', each(mappingFields, mapped)),
    ...under('gidMappings', each(mappingFields, mapped)),
    recursive_read_only: shows(mountedAt('/m/all/below'), expect.stringMatching(/ \/m\/all\/below ro,/)),
    selinux_relabel: elsewhere(
      'test/guest/selinux.guest.test.ts',
      'a volume that is labelled for one pod is closed to others',
    ),
    'image.image': shows(executed('cat', '/m/image/image'), 'of the image'),
    image_sub_path: shows(executed('ls', '/m/image'), 'image'),
    'image.user_specified_image': shows(
      statusOf('mounts.4.image.user_specified_image'),
      'volume:of-the-user',
    ),
    'image.annotations': forPulls,
    'image.runtime_handler': forPulls,
    'image.image_ref': none('for the status to answer'),
  }),
}
