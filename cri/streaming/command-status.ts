import { describeError } from '#lib/errors.ts'
import { hasJsonStatus } from './protocols.ts'

/** How a session ended, or what failed in doing what it was for. */
export type Outcome =
  | { readonly exitCode: number }
  | { readonly error: unknown; readonly doing: 'executing command in container' | 'attaching to container' }

/** What the error channel carries at the end (metav1.Status as JSON, before v4 the message of a failure alone). */
export function statusText(outcome: Outcome, protocol: string): string {
  const status = statusOf(outcome)
  if (hasJsonStatus(protocol)) return JSON.stringify({ metadata: {}, ...status })
  return 'message' in status ? status.message : ''
}

function statusOf(outcome: Outcome) {
  if ('error' in outcome) {
    const message = `Internal error occurred: error ${outcome.doing}: ${describeError(outcome.error)}`
    return { status: 'Failure', message, reason: 'InternalError', code: 500 } as const
  }
  const { exitCode } = outcome
  if (exitCode === 0) return { status: 'Success' } as const
  return {
    status: 'Failure',
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: `${exitCode}` }] },
  } as const
}
