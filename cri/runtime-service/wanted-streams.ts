import { invalidArgument } from '#lib/errors.ts'
import type { AttachRequest } from '#proto/gen/runtime/v1/api.ts'
import type { WantedStreams } from '../streaming/command-session.ts'

/** Throws invalid-argument for what api.proto forbids: no stream at all, or a standard error beside a terminal. */
export function wantedStreams({
  stdin,
  stdout,
  stderr,
  tty,
}: Omit<AttachRequest, 'containerId'>): WantedStreams {
  if (tty && stderr) {
    throw invalidArgument('tty and stderr are both set: a terminal has one output, so leave stderr out')
  }
  if (!stdin && !stdout && !stderr) {
    throw invalidArgument('none of stdin, stdout and stderr is set: set at least one')
  }
  return { stdin, stdout, stderr, tty }
}
