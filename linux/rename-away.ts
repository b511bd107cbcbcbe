import { renameSync } from 'node:fs'
import { errnoOf } from '#lib/errors.ts'

/** What is under way finds it no more; to be removed with its directory. */
export function renameAway(path: string): void {
  try {
    renameSync(path, `${path}.gone`)
  } catch (error) {
    // There was none, or an earlier teardown has renamed one already.
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) throw error
  }
}
