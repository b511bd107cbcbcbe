import { chmodSync, mkdirSync } from 'node:fs'

/**
 * Makes directories that only their owner may enter, also where they were made with another mode. Layers hold
 * set-user-id programs and device nodes of foreign images, records hold environments of pods: neither is for other
 * users of this host.
 */
export function makePrivate(directories: readonly string[]): void {
  for (const directory of directories) {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    chmodSync(directory, 0o700)
  }
}
