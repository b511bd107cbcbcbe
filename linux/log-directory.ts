import { mkdirSync } from 'node:fs'
import { CriError, errnoOf } from '#lib/errors.ts'

/** A directory for logs, with its parents (0755). May hang: call it in a worker. */
export function makeLogDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o755 })
  } catch (cause) {
    const isFull = errnoOf(cause) === 'ENOSPC' || errnoOf(cause) === 'EDQUOT'
    throw isFull
      ? new CriError('resource-exhausted', `log directory ${path} cannot be made: free space there`, {
          cause,
        })
      : new CriError('failed-precondition', `the pod's log directory ${path} cannot be made`, { cause })
  }
}
