import { closeSync, constants, mkdirSync, openSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { CriError, errnoOf } from '#lib/errors.ts'
import { openInRoot } from '#linux/libc.ts'
import { mappedOverlayMounter } from '#linux/mapped-overlay.ts'
import { namesIn } from '#linux/names-in.ts'
import { isMounted, mountReadonlyOverlay } from '#linux/overlay.ts'
import { removeMountPoints } from '#linux/remove-mount-point.ts'
import type { ImageVolumeRequest, ImageVolumes } from '#runtime/image-volumes-port.ts'
import type { ImageRecords } from './image-records.ts'
import type { ImageStore } from './image-source.ts'
import { keepLayers } from './kept-layers.ts'
import type { LayerStore } from './layer-store.ts'
import { visibleLayers } from './visible-layers.ts'

export interface ImageVolumesOptions {
  /** Where images are mounted: a directory for each container. */
  readonly directory: string
  readonly images: Pick<ImageStore, 'find'>
  readonly layers: Pick<LayerStore, 'lowerDirectory' | 'adopt' | 'collect'>
  readonly records: ImageRecords
}

/**
 * Images mounted read-only, an overlay of their layers and nothing else each:
 *
 *   DIRECTORY/ID/INDEX   the mount point      DIRECTORY/ID/empty…   overlayfs wants two lower directories
 */
export function createImageVolumes(options: ImageVolumesOptions): ImageVolumes {
  const { directory, layers, records } = options
  const mountMapped = mappedOverlayMounter(({ lower, selinuxLabel }, target) =>
    mountReadonlyOverlay(lower, target, selinuxLabel),
  )

  /** Over `home`/`name`, with the ids of their files mapped by a user namespace where there is one. */
  async function mountLayers(
    home: string,
    name: string,
    seen: readonly string[],
    { userNamespace, selinuxLabel }: Pick<ImageVolumeRequest, 'userNamespace' | 'selinuxLabel'>,
  ): Promise<void> {
    const target = join(home, name)
    const empty = ['empty', 'empty-too'].map((each) => join(home, each))
    for (const path of [target, ...empty]) mkdirSync(path, { recursive: true, mode: 0o711 })
    const [top = '', ...below] = seen.length > 1 ? seen : [...seen, ...empty]
    const lower = [top, ...below] as const
    const staging = join(home, `layers-of-${name}`)
    if (userNamespace === undefined) mountReadonlyOverlay(lower, target, selinuxLabel)
    else
      await mountMapped({
        layers: { lower, upper: '', work: '', selinuxLabel },
        target,
        userNamespace,
        staging,
      })
  }

  return {
    async mount(containerId, { index, imageId, subPath, ...how }) {
      const home = join(directory, containerId)
      const target = join(home, `${index}`)
      const paths = keepLayers(`${containerId}/${index}`, imageId, options)
      if (!isMounted(target)) await mountLayers(home, `${index}`, visibleLayers(paths), how)
      return subPath === '' ? target : directoryIn(target, subPath)
    },

    async remove(containerId) {
      await removeMountPoints(join(directory, containerId))
      const owned = records.rootfsIds().filter((id) => id.startsWith(`${containerId}/`))
      for (const owner of owned) records.removeRootfs(owner)
      if (owned.length > 0) layers.collect()
    },

    leftovers: () => [
      ...new Set([
        ...records.rootfsIds().flatMap((id) => (id.includes('/') ? [id.slice(0, id.indexOf('/'))] : [])),
        ...namesIn(directory),
      ]),
    ],
  }
}

/** Links are kept inside of the image, and what was found stays what it is: nobody can write there. */
function directoryIn(root: string, subPath: string): string {
  using fds = new DisposableStack()
  const opened = (fd: number): number => fds.adopt(fd, closeSync)
  try {
    const rootFd = opened(openSync(root, constants.O_RDONLY | constants.O_DIRECTORY))
    const found = opened(openInRoot(rootFd, subPath, constants.O_RDONLY | constants.O_DIRECTORY))
    return readlinkSync(`/proc/self/fd/${found}`)
  } catch (error) {
    const code = errnoOf(error) ?? ''
    if (!['ENOENT', 'ENOTDIR', 'ELOOP'].includes(code)) throw error
    const reason = code === 'ENOENT' ? 'there is no such path' : 'it is no directory'
    throw new CriError(
      'not-found',
      `image_sub_path ${subPath}: ${reason} in the image: name a directory of it`,
    )
  }
}
