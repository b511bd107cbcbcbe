import { closeSync } from 'node:fs'
import type { Process } from '#runtime/pod-sandbox/record.ts'
import { openPidfd, signalPidfd } from './libc.ts'
import { isAlive } from './proc.ts'

/** False when it has ended; another process that has its pid now gets nothing. */
export function signalProcess(target: Process, signal: number): boolean {
  const pidfd = openPidfd(target.pid)
  if (pidfd === undefined) return false
  try {
    return isAlive(target) && signalPidfd(pidfd, signal)
  } finally {
    closeSync(pidfd)
  }
}
