import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { CriError } from '#lib/errors.ts'
import { flock, LOCK_EX, LOCK_NB } from './libc.ts'

/** One daemon for each root and state directory. Throws failed-precondition while another one holds it, or where it cannot be written. */
export function lockDaemon(path: string): Disposable {
  const fd = openLock(path)
  if (flock(fd, LOCK_EX | LOCK_NB)) return { [Symbol.dispose]: () => closeSync(fd) }
  closeSync(fd)
  throw new CriError(
    'failed-precondition',
    `another cri-ts uses ${dirname(path)} (it holds ${path}): stop it, or give this one its own --root and --state`,
  )
}

function openLock(path: string): number {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o711 })
    return openSync(path, 'a', 0o600)
  } catch (cause) {
    throw new CriError('failed-precondition', `${dirname(path)} cannot be written: see to its disk`, {
      cause,
    })
  }
}
