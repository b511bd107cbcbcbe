import { CriError } from '#lib/errors.ts'
import type { ExecSyncRequest, ExecSyncResponse } from '#proto/gen/runtime/v1/api.ts'
import type { CommandService } from '#runtime/services.ts'
import { convertExecCommand } from '../convert-command.ts'
import { secondsToMs } from '../convert-timeout.ts'
import { maxMessageBytes } from '../service-table.ts'
import type { Handler } from '../unary.ts'

/** Of stdout and stderr together: the rest of the message is for its framing. */
const maxOutputBytes = maxMessageBytes - 64 * 1024

/** Output that does not fit the answer is cut without an error (api.proto, ExecSyncResponse). A timeout of 0 is none. */
export function execSync(
  commands: Pick<CommandService, 'execSync'>,
): Handler<ExecSyncRequest, ExecSyncResponse> {
  return async ({ containerId, cmd, timeout }, { signal }) => {
    const command = convertExecCommand(cmd)
    const timeoutMs = timeout === 0n ? undefined : secondsToMs(timeout)
    const result = await commands.execSync(containerId, command, timeoutMs, signal)
    // Kubelet takes this code, and no other, for a probe that timed out.
    if (result.timedOut) {
      throw new CriError(
        'deadline-exceeded',
        `command ${JSON.stringify(cmd)} in container ${containerId} did not end within ${timeout} s and was killed`,
      )
    }
    return { ...fitting(result.stdout, result.stderr), exitCode: result.exitCode }
  }
}

/** Each stream has half of the room, and what the other leaves of its half. */
function fitting(stdout: Buffer, stderr: Buffer): { stdout: Buffer; stderr: Buffer } {
  const half = maxOutputBytes / 2
  return {
    stdout: stdout.subarray(0, Math.max(half, maxOutputBytes - stderr.length)),
    stderr: stderr.subarray(0, Math.max(half, maxOutputBytes - stdout.length)),
  }
}
