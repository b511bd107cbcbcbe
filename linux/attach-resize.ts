import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { errnoOf } from '#lib/errors.ts'
import type { TerminalSize } from '#runtime/monitor-port.ts'

/** What conmon takes: with another line of its control pipe those that follow it would be lost. */
const cells = (side: number): number => Math.max(0, Math.min(1000, Math.trunc(side) || 0))

/** Tells conmon the size of the container's terminal (its control pipe's message 1). Forgone when it cannot be told. */
export function requestResize(controlFifo: string, { columns, rows }: TerminalSize): void {
  try {
    const fd = openSync(controlFifo, constants.O_RDWR | constants.O_NONBLOCK)
    try {
      writeSync(fd, `1 ${cells(rows)} ${cells(columns)}\n`)
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (errnoOf(error) === undefined) throw error
  }
}
