import { lstatSync, rmdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf } from '#lib/errors.ts'
import { unmount } from './libc.ts'
import { namesIn } from './names-in.ts'

/**
 * An empty directory or a file; one that is not there is fine. What something is still mounted at stays (EBUSY), with
 * all that is there: a removal with content would take that of a volume.
 */
export function removeMountPoint(path: string): void {
  try {
    if (lstatSync(path).isDirectory()) rmdirSync(path)
    else unlinkSync(path)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}

/** Unmounts all that is mounted in a directory of mount points, and removes them with it. */
export async function removeMountPoints(directory: string): Promise<void> {
  for (const name of namesIn(directory)) {
    await unmount(join(directory, name))
    removeMountPoint(join(directory, name))
  }
  removeMountPoint(directory)
}
