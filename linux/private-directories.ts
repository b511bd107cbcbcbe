import { chmodSync, mkdirSync } from 'node:fs'

/**
 * Makes directories that only their owner may enter, also where they were made with another mode. Layers hold
 * set-user-id programs and device nodes of foreign images, records hold environments of pods: neither is for other
 * users of this host.
 */
export const makePrivate = (directories: readonly string[]): void => makeAll(directories, 0o700)

/** The same, but that others may enter them by name and go on to what is theirs in them. */
export const makeEnterable = (directories: readonly string[]): void => makeAll(directories, 0o711)

function makeAll(directories: readonly string[], mode: number): void {
  for (const directory of directories) {
    mkdirSync(directory, { recursive: true, mode })
    chmodSync(directory, mode)
  }
}
