import { posix } from 'node:path'
import { invalidArgument } from '#lib/errors.ts'
import * as wire from '#proto/gen/runtime/v1/api.ts'
import type { ContainerMount, Device, ImageVolume } from '#runtime/container/record.ts'
import { convertEnum } from './convert-enum.ts'
import { convertMountMappings, idMappingsToWire } from './convert-id-mappings.ts'
import { convertImageMount, imageToWire } from './convert-image-mount.ts'
import { convertMountOptions } from './convert-mount-options.ts'

const propagations = convertEnum({
  private: wire.MountPropagation.PROPAGATION_PRIVATE,
  'host-to-container': wire.MountPropagation.PROPAGATION_HOST_TO_CONTAINER,
  bidirectional: wire.MountPropagation.PROPAGATION_BIDIRECTIONAL,
})

/** Throws invalid-argument for a path that is not absolute, and for what contradicts itself. */
export function convertMount(mount: wire.Mount, index: number): ContainerMount {
  const field = `mounts[${index}]`
  return {
    containerPath: belowRoot(
      absolute(mount.containerPath, `${field}.container_path`),
      `${field}.container_path`,
    ),
    ...sourceOf(mount, field),
    readonly: mount.readonly,
    ...recursion(mount, field),
    propagation: propagations.fromWire(mount.propagation, `${field}.propagation`),
    ...(mount.selinuxRelabel ? { selinuxRelabel: true } : {}),
    ...optionsOf(mount, `${field}.mount_options`),
    ...mappingsOf(mount, field),
  }
}

function sourceOf(mount: wire.Mount, field: string): Pick<ContainerMount, 'hostPath' | 'image'> {
  const image = convertImageMount(mount, field)
  return image === undefined
    ? { hostPath: absolute(mount.hostPath, `${field}.host_path`) }
    : { hostPath: '', image }
}

const optionsOf = ({ mountOptions }: wire.Mount, field: string): Pick<ContainerMount, 'options'> =>
  mountOptions.length === 0 ? {} : { options: convertMountOptions(mountOptions, field) }

/** Nothing that is mounted in such a mount would show with its mappings on the host. */
function mappingsOf(mount: wire.Mount, field: string): Pick<ContainerMount, 'idMappings'> {
  const idMappings = convertMountMappings(mount, field)
  if (idMappings === undefined) return {}
  if (mount.propagation !== wire.MountPropagation.PROPAGATION_BIDIRECTIONAL) return { idMappings }
  throw invalidArgument(
    `${field}.propagation is PROPAGATION_BIDIRECTIONAL, which a mount with uidMappings and gidMappings can't have: ` +
      'choose another, or leave the mappings out',
  )
}

/** Only read-only mounts without propagation may be read-only with all below them (api.proto, Mount). */
function recursion(mount: wire.Mount, field: string): Pick<ContainerMount, 'recursiveReadonly'> {
  if (!mount.recursiveReadOnly) return {}
  if (mount.readonly && mount.propagation === wire.MountPropagation.PROPAGATION_PRIVATE)
    return { recursiveReadonly: true }
  throw invalidArgument(
    `${field}.recursive_read_only needs readonly and PROPAGATION_PRIVATE: set both, or leave it out`,
  )
}

export function mountToWire(mount: ContainerMount, volumes: readonly ImageVolume[] = []): wire.Mount {
  const { containerPath, image } = mount
  const digest = volumes.find((volume) => volume.containerPath === containerPath)?.digest ?? ''
  return {
    containerPath: mount.containerPath,
    hostPath: mount.hostPath,
    readonly: mount.readonly,
    selinuxRelabel: mount.selinuxRelabel ?? false,
    propagation: propagations.toWire(mount.propagation),
    uidMappings: idMappingsToWire(mount.idMappings?.uids),
    gidMappings: idMappingsToWire(mount.idMappings?.gids),
    recursiveReadOnly: mount.recursiveReadonly ?? false,
    image: image && imageToWire(image, digest),
    imageSubPath: image?.subPath ?? '',
    mountOptions: [...(mount.options ?? [])],
  }
}

/** Throws invalid-argument for paths that are not absolute, and permissions beyond read, write and mknod. */
export function convertDevice(device: wire.Device, index: number): Device {
  const field = `devices[${index}]`
  if (!/^[rwm]+$/.test(device.permissions)) {
    throw invalidArgument(
      `${field}.permissions is ${JSON.stringify(device.permissions)}: it has one or more of r, w and m`,
    )
  }
  return {
    containerPath: absolute(device.containerPath, `${field}.container_path`),
    hostPath: absolute(device.hostPath, `${field}.host_path`),
    permissions: device.permissions,
  }
}

function belowRoot(path: string, field: string): string {
  if (posix.resolve(path) !== '/') return path
  throw invalidArgument(`${field} is "${path}": give a path below /, which is the image's`)
}

export function absolute(path: string, field: string): string {
  if (posix.isAbsolute(path) && !path.includes('\0')) return path
  throw invalidArgument(`${field} is "${path}": it must be an absolute path`)
}
