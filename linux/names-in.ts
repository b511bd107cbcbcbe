import { readdirSync } from 'node:fs'
import { errnoOf } from '#lib/errors.ts'

/** What lies in a directory; nothing in one that is not there (yet). */
export function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}
