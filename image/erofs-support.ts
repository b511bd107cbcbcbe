import { mkdirSync, rmSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { CriError, errnoOf } from '#lib/errors.ts'
import { mountErofs } from '#linux/erofs.ts'
import { unmount } from '#linux/libc.ts'
import { removeMountPoint } from '#linux/remove-mount-point.ts'
import { ErofsBlob, newBlobFile } from './erofs-blob.ts'
import { ErofsTree } from './erofs-tree.ts'

/**
 * Mounts an empty layer that lies in `directory` in `mountsDirectory`, and takes both away again. Throws failed-precondition that says what
 * is missing where this kernel cannot mount a file of that file system as EROFS.
 */
export async function checkErofs(directory: string, mountsDirectory: string): Promise<void> {
  const file = join(directory, 'erofs-check')
  const target = join(mountsDirectory, 'check')
  rmSync(file, { force: true }) // What a crash left.
  mkdirSync(target, { recursive: true })
  try {
    using blob = new ErofsBlob(newBlobFile(file))
    blob.finish({ tree: new ErofsTree(), sparse: new Map() }, Buffer.alloc(16))
    mountErofs(file, target)
  } catch (cause) {
    throw new CriError(
      'failed-precondition',
      `[image] format = "erofs": ${reasonOf(cause, directory)}; or set format = "overlay"`,
      { cause },
    )
  } finally {
    await unmount(target)
    removeMountPoint(target)
    rmSync(file, { force: true })
  }
}

/** By what mount(2) answers: ENODEV without EROFS, ENOTBLK where it takes a block device alone. */
function reasonOf(cause: unknown, directory: string): string {
  const code = errnoOf(cause)
  if (code === 'ENODEV') {
    return 'this kernel has no EROFS: load its module (modprobe erofs), or run one that is built with CONFIG_EROFS_FS'
  }
  if (code === 'ENOTBLK') {
    return `this kernel (${release()}) cannot mount files of ${directory} as EROFS: run Linux 6.12 or newer, built with CONFIG_EROFS_FS_BACKED_BY_FILE, with that directory on a file system of its own, not on an overlay`
  }
  return `a file of ${directory} cannot be mounted as EROFS`
}
