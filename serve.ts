import type { Config } from '#config/config.ts'
import { createLogger } from '#config/logger.ts'
import { CriError, describeError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import { exitNow } from '#linux/exit-now.ts'
import { startDaemon } from './daemon.ts'

/** Longer than the calls under way get to end (daemon.ts). */
const STOP_TIMEOUT_MS = 15_000

/** Runs the daemon until SIGTERM or SIGINT. What runs in pods goes on. */
export async function serve(config: Config, version: string): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new CriError('failed-precondition', 'cri-ts serve needs root: run it with sudo')
  }
  process.umask(0o022) // What is made for pods has the modes that are asked for.
  const log = createLogger({ level: config.logLevel, format: config.logFormat })
  endOnBugs(log)
  const daemon = await startDaemon(config, { version, log })
  const signal = await new Promise<string>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve(name))
  })
  log.info({ signal }, 'stopping; containers run on')
  // Also keeps the loop alive meanwhile. What does not end by then is as after a SIGKILL, which nothing minds.
  setTimeout(() => exitNow(1), STOP_TIMEOUT_MS)
  try {
    await daemon[Symbol.asyncDispose]()
  } catch (error) {
    log.error({ error: describeError(error) }, 'the stop failed; containers run on')
    exitNow(1)
  }
  exitNow(0)
}

/**
 * What nobody has caught ends the daemon at once, so that it is started anew. Node would first join its threads, one of
 * which sleeps in the kernel: the daemon would hang with its sockets open.
 */
export function endOnBugs(log: Log): void {
  process.on('uncaughtException', (error) => {
    log.error(
      { error: describeError(error), stack: error.stack },
      'a bug: the daemon ends; containers run on',
    )
    exitNow(1)
  })
}
