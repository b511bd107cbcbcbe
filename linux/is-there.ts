import { statSync } from 'node:fs'
import { CriError, errnoOf } from '#lib/errors.ts'

/** Whether something of that name is there. Throws failed-precondition, with the path, where that cannot be told: it may be there. */
export function isThere(path: string): boolean {
  try {
    statSync(path)
    return true
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return false
    throw new CriError('failed-precondition', `${path} cannot be read`, { cause })
  }
}
