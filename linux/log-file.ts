import { lstat, mkdir } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CriError, errnoOf } from '#lib/errors.ts'

const REOPEN_TIMEOUT_MS = 5_000

/**
 * Makes the directories between a pod's log directory, which is there, and a log file in it. Neither they nor the file
 * may be symbolic links: a container that can write there would choose what the monitor, as root, writes to.
 * Throws failed-precondition.
 */
export async function prepareLogFile(logDirectory: string, logFile: string): Promise<void> {
  const names = relative(logDirectory, logFile).split('/')
  let path = logDirectory
  for (const name of names.slice(0, -1)) {
    path = join(path, name)
    await makeDirectory(path)
    await refuseLink(path)
  }
  await refuseLink(logFile)
}

export interface LogReopen {
  /** For messages. */
  readonly id: string
  readonly logFile: string
  /** Asks the monitor for it. */
  readonly ask: () => void
  /** Whether there is a monitor that may yet do it. */
  readonly isWatched: () => boolean
}

/**
 * Has the monitor reopen the log; resolves when it has where that can be seen. Throws failed-precondition when the
 * container has ended, also while it is waited for: kubelet rotates logs of containers that it stops.
 */
export async function reopenLogFile({ id, logFile, ask, isWatched }: LogReopen): Promise<void> {
  await refuseLink(logFile)
  const before = await inodeOf(logFile)
  ask()
  const deadline = performance.now() + REOPEN_TIMEOUT_MS
  // Renamed away: the new file shows that it is done. Still there: nothing changes that could be seen.
  while (before === undefined && (await inodeOf(logFile)) === undefined) {
    if (!isWatched()) {
      throw new CriError(
        'failed-precondition',
        `container ${id} has ended: nothing will be written to ${logFile} any more`,
      )
    }
    if (performance.now() > deadline) {
      throw new CriError('deadline-exceeded', `container ${id}: its monitor did not reopen ${logFile}`)
    }
    await sleep(2)
  }
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o755 })
  } catch (cause) {
    if (errnoOf(cause) === 'EEXIST') return
    throw new CriError('failed-precondition', `the log directory ${path} cannot be made`, { cause })
  }
}

async function refuseLink(path: string): Promise<void> {
  const found = await lstatOf(path)
  if (found?.isSymbolicLink() !== true) return
  throw new CriError(
    'failed-precondition',
    `the log path ${path} is a symbolic link, which may lead anywhere: remove it; only the pod's log directory itself may be one`,
  )
}

const inodeOf = async (path: string): Promise<number | undefined> => (await lstatOf(path))?.ino

async function lstatOf(path: string) {
  try {
    return await lstat(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
