import { lstatSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { CriError, errnoOf } from '#lib/errors.ts'

/**
 * Removes the socket that a daemon which was killed has left. Throws failed-precondition where somebody listens on it,
 * or where it is no socket.
 */
export async function removeStaleSocket(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined) return
  if (!found.isSocket()) {
    throw new CriError(
      'failed-precondition',
      `listen = ${path} is there and is no socket: choose another path`,
    )
  }
  if (await answers(path)) {
    const message = `somebody listens on ${path} already, another container runtime perhaps: stop it, or choose another path`
    throw new CriError('failed-precondition', message)
  }
  rmSync(path, { force: true })
}

function answers(path: string): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>()
  const socket = connect(path)
  socket.once('connect', () => resolve(true))
  socket.once('error', (error) => (errnoOf(error) === 'ECONNREFUSED' ? resolve(false) : reject(error)))
  return promise.finally(() => socket.destroy())
}
