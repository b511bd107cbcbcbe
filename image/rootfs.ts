import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { CriError, errnoOf } from '#lib/errors.ts'
import { hostIdOf, type IdMappings } from '#lib/id-mappings.ts'
import { isThere } from '#linux/is-there.ts'
import { openInRoot, unmount } from '#linux/libc.ts'
import { mappedOverlayMounter } from '#linux/mapped-overlay.ts'
import { isMounted, type OverlayLayers, overlayMounter } from '#linux/overlay.ts'
import { removeMountPoint, removeMountPoints } from '#linux/remove-mount-point.ts'
import type { LocalImage } from '#runtime/ports.ts'
import type { ImageRootfs, ImageUse } from '#runtime/rootfs-port.ts'
import { directoryInRoot } from './copy-tree.ts'
import { digestSaid, findImage, namesSaid } from './find-image.ts'
import type { ImageRecords } from './image-records.ts'
import type { ImageRecord, ImageStore } from './image-source.ts'
import { keepLayers } from './kept-layers.ts'
import type { LayerStore } from './layer-store.ts'
import type { ImageAdmission } from './policy-admission.ts'
import type { Trash } from './trash.ts'
import type { UntarPool } from './untar-pool.ts'
import { visibleLayers } from './visible-layers.ts'
import type { WrittenUsages } from './written-usages.ts'

export interface RootfsOptions {
  /** What containers write: a directory each. */
  readonly directory: string
  /** Where a container's root file system is mounted. */
  readonly mountPoint: (containerId: string) => string
  /** The directory of its own that it is mounted in where the container is in a user namespace, for its root to enter. */
  readonly userHome: (containerId: string) => string
  readonly images: Pick<ImageStore, 'find' | 'localNames'>
  readonly layers: Pick<LayerStore, 'lowerDirectory' | 'adopt' | 'collect'>
  readonly records: ImageRecords
  readonly trash: Trash
  readonly written: Pick<WrittenUsages, 'of' | 'forget'>
  readonly pool: Pick<UntarPool, 'copyTree'>
  /** Left out: any image may be used. */
  readonly admit?: ImageAdmission | undefined
}

const FILE_LIMIT_BYTES = 1 << 20
const O_PATH = 0o10000000

/** Root file systems of containers: the image's layers and one to write into, by overlayfs. */
export function createRootfs(options: RootfsOptions): ImageRootfs {
  const { directory, mountPoint, userHome, layers, records, trash, written, pool } = options
  const mountOverlay = overlayMounter()
  const mountMappedOverlay = mappedOverlayMounter(mountOverlay)
  const ownDirectory = (containerId: string): string => join(directory, containerId)
  const userMountPoint = (containerId: string): string => join(userHome(containerId), 'rootfs')
  /** At either place; that of one in a user namespace is there for such only. */
  const mountPointOf = (containerId: string): string =>
    isThere(userHome(containerId)) ? userMountPoint(containerId) : mountPoint(containerId)

  return {
    resolve: (reference, use) => resolveLocal(reference, use, options),

    async mount(containerId, imageId, { written, userNamespace: user, selinuxLabel } = {}) {
      const target = user === undefined ? mountPoint(containerId) : userMountPoint(containerId)
      if (isMounted(target)) return target
      const paths = keepLayers(containerId, imageId, options)
      if (user !== undefined) makeUserHome(userHome(containerId), user.mappings)
      mkdirSync(target, { recursive: true, mode: 0o711 })
      const own = prepare(ownDirectory(containerId), paths, { written, mappings: user?.mappings })
      const overlay = { ...own, selinuxLabel }
      const staging = join(userHome(containerId), 'layers')
      if (user === undefined) mountOverlay(overlay, target)
      else await mountMappedOverlay({ layers: overlay, target, userNamespace: user.path, staging })
      return target
    },

    unmount: (containerId) => unmount(mountPointOf(containerId)),

    async remove(containerId) {
      await unmount(mountPointOf(containerId))
      removeMountPoint(mountPoint(containerId))
      await removeMountPoints(userHome(containerId))
      records.removeRootfs(containerId)
      trash.discard(ownDirectory(containerId))
      written.forget(containerId)
      layers.collect()
      await trash.freed()
    },

    readFile: async (containerId, path) => readFileInRoot(mountPointOf(containerId), path),

    written: (containerId) => written.of(containerId),

    async makeVolume(containerId, index, path) {
      const volumes = join(ownDirectory(containerId), 'volumes')
      const target = join(volumes, `${index}`)
      mkdirSync(volumes, { recursive: true, mode: 0o711 })
      const root = mountPointOf(containerId)
      const source = directoryInRoot(root, path)
      if (source === undefined) makeLike(target, root, { mode: 0o755 })
      else await pool.copyTree(source, Buffer.from(target).toString('latin1'))
      return target
    },

    leftovers: () => records.rootfsIds().filter((id) => !id.includes('/')),
  }
}

async function resolveLocal(
  reference: string,
  use: ImageUse,
  { images, admit }: Pick<RootfsOptions, 'images' | 'admit'>,
): Promise<LocalImage> {
  const image = findImage(images, reference)
  if (image === undefined) throw new CriError('not-found', `image ${reference} is not here: pull it first`)
  if (image.artifactType !== undefined && use.as === 'root') {
    throw new CriError(
      'failed-precondition',
      `image ${reference} is an OCI artifact (${image.artifactType}), which cannot be run: mount it as an image volume`,
    )
  }
  const said = namesSaid(images, use.userSpecifiedImage || reference, image)
  await admit?.(image, said, use.namespace)
  return localImage(image, digestSaid(image.digests, said))
}

const localImage = ({ id, config, artifactType }: ImageRecord, digest: string | undefined): LocalImage => ({
  ...{ id, config },
  ...(artifactType === undefined ? {} : { isArtifact: true }),
  ...(digest === undefined ? {} : { digest }),
})

/**
 * Makes the directories of an overlay; what was written before stays, and `written` is taken over as that. `paths`: the
 * layers, base first.
 */
function prepare(
  home: string,
  paths: readonly string[],
  { written, mappings }: { readonly written: string | undefined; readonly mappings: IdMappings | undefined },
): OverlayLayers {
  const empty = join(home, 'empty')
  const [top = empty, ...below] = visibleLayers(paths)
  const overlay = { lower: [top, ...below] as const, upper: join(home, 'upper'), work: join(home, 'work') }
  mkdirSync(home, { recursive: true, mode: 0o711 })
  if (top === empty) mkdirSync(empty, { recursive: true })
  // Overlayfs marks a volatile layer as used once; it is the daemon that knows better.
  rmSync(overlay.work, { recursive: true, force: true })
  mkdirSync(overlay.work, { mode: 0o700 })
  if (written !== undefined) renameSync(written, overlay.upper)
  else if (statSync(overlay.upper, { throwIfNoEntry: false }) === undefined)
    makeLike(overlay.upper, top, { mappings }) // The root directory's.
  return overlay
}

/** An empty directory, of the owner (by `mappings`, where the model's ids are those of an image) and the mode of another one. */
function makeLike(
  path: string,
  model: string,
  { mode, mappings }: { readonly mode?: number; readonly mappings?: IdMappings | undefined },
): void {
  const like = statSync(model)
  const { uid, gid } = mappings === undefined ? like : outside(like, mappings)
  const unfinished = `${path}.new`
  mkdirSync(unfinished, { recursive: true })
  chownSync(unfinished, uid, gid)
  chmodSync(unfinished, mode ?? like.mode & 0o7777)
  renameSync(unfinished, path)
}

const outside = ({ uid, gid }: { uid: number; gid: number }, { uids, gids }: IdMappings) => ({
  uid: hostIdOf(uids, uid) ?? uids.hostId,
  gid: hostIdOf(gids, gid) ?? gids.hostId,
})

/** Set-user-id programs of the image are for no other user of the host. */
function makeUserHome(home: string, { uids, gids }: IdMappings): void {
  mkdirSync(home, { recursive: true, mode: 0o700 })
  chownSync(home, uids.hostId, gids.hostId)
}

/** Nothing outside the root is opened, and of what is inside only a file, by way of O_PATH: opening a device acts. */
function readFileInRoot(root: string, path: string): string | undefined {
  using fds = new DisposableStack()
  const openAt = (fd: number): number => fds.adopt(fd, closeSync)
  try {
    const rootFd = openAt(openSync(root, constants.O_RDONLY | constants.O_DIRECTORY))
    const found = openAt(openInRoot(rootFd, path, O_PATH))
    const stat = fstatSync(found)
    if (!stat.isFile()) return undefined
    if (stat.size > FILE_LIMIT_BYTES) {
      throw new CriError('failed-precondition', `${path} in the image is ${stat.size} bytes long, over 1 MiB`)
    }
    return readFileSync(`/proc/self/fd/${found}`, 'utf8')
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) return undefined
    throw error
  }
}
