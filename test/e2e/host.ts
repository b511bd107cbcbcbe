import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, onTestFailed, test } from 'vitest'
import { busyboxArchive } from './busybox.ts'
import { type Daemon, type DaemonOptions, startDaemon } from './daemon.ts'
import { type LeakCheck, startLeakCheck } from './leak-check.ts'
import { IMAGE, runPod } from './pod.ts'
import { until } from './until.ts'

export const HANDLERS = ['crun', 'runc'] as const

/** A test of its own for each handler; its name begins with `%s`. */
export const testOnEach = test.for(HANDLERS)

/**
 * One daemon with an image for the tests of a file, and a leak check around each of them. Call it at the top of the
 * file and of no `describe`; the daemon is there once a test runs.
 */
export function useDaemon(
  options: (() => DaemonOptions | Promise<DaemonOptions>) | DaemonOptions = {},
): () => Daemon {
  const daemon = useUncheckedDaemon(options)
  let leaks: LeakCheck
  beforeEach(() => {
    leaks = startLeakCheck(daemon().scope)
  })
  afterEach(() => leaks.expectNone())
  return daemon
}

/** The same without the leak checks, for tests that look at what another one did. */
export function useUncheckedDaemon(
  options: (() => DaemonOptions | Promise<DaemonOptions>) | DaemonOptions = {},
): () => Daemon {
  let daemon: Daemon | undefined
  const there = (): Daemon => {
    if (daemon === undefined) throw new Error('the daemon was not started')
    return daemon
  }
  beforeAll(async () => {
    daemon = await startDaemon(typeof options === 'function' ? await options() : options)
    await prepare(daemon).catch((error: unknown) => {
      console.error(daemon?.log())
      throw error
    })
  })
  beforeEach(() => {
    const from = there().log().length
    onTestFailed(() => console.error(there().log().slice(from)))
  })
  afterAll(() => daemon?.[Symbol.asyncDispose]())
  return there
}

/** An image; and the first pod makes what stays: the bridge, the tables and chains of iptables, the daemon's own directories. */
export async function prepare(daemon: Daemon): Promise<void> {
  await daemon.criTs('images', 'import', '--name', IMAGE, busyboxArchive())
  for (const handler of HANDLERS) {
    await using pod = await runPod(daemon, handler, {
      port_mappings: [{ protocol: 0, container_port: 1, host_port: 65_000 }],
    })
    await (await pod.run()).exec('true')
  }
  // Else the first leak check sees it go.
  await until('what was removed is deleted', () => readdirSync(join(daemon.root, 'trash')).length === 0)
}
