import { setTimeout as sleep } from 'node:timers/promises'
import { CriError } from '#lib/errors.ts'
import { RegistryFailure } from './registry-failure.ts'

export interface RetryPolicy {
  /** The first one counted. */
  readonly attempts: number
  /** Before the second attempt; doubled before each further one. */
  readonly backoffMs: number
  /** A server that asks for a longer pause than this (Retry-After) is taken as one that refuses. */
  readonly longestPauseMs: number
  readonly pause: (durationMs: number, signal: AbortSignal) => Promise<void>
  /** Hears of each attempt after the first. */
  readonly onRetry?: () => void
}

export const DEFAULT_RETRIES: RetryPolicy = {
  attempts: 3,
  backoffMs: 250,
  longestPauseMs: 30_000,
  pause: (durationMs, signal) => sleep(durationMs, undefined, { signal }),
}

/** Attempts again what failed in passing. Throws the last failure, or cancelled when the pull is given up. */
export async function retrying<Result>(
  attempt: () => Promise<Result>,
  policy: RetryPolicy,
  signal: AbortSignal,
): Promise<Result> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await attempt()
    } catch (thrown) {
      await pauseBeforeRetry(thrown, failures, policy, signal)
    }
  }
}

/** Waits as long as the last of so many failures asks for; throws it where another attempt is no use or too many. */
export async function pauseBeforeRetry(
  failure: unknown,
  failures: number,
  policy: RetryPolicy,
  signal: AbortSignal,
): Promise<void> {
  const hopeless = !(failure instanceof RegistryFailure) || !failure.passing || failures >= policy.attempts
  if (hopeless) throw failure
  const pauseMs = Math.max(failure.retryAfterMs ?? 0, policy.backoffMs * 2 ** (failures - 1))
  if (pauseMs > policy.longestPauseMs) throw failure
  policy.onRetry?.()
  try {
    await policy.pause(pauseMs, signal)
  } catch (cause) {
    throw new CriError('cancelled', 'the pull was given up', { cause })
  }
}
