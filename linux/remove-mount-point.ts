import { lstatSync, rmdirSync, unlinkSync } from 'node:fs'
import { errnoOf } from '#lib/errors.ts'

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
