import { invalidArgument } from '#lib/errors.ts'

/** 24 days: what a timer of Node can wait. Kubernetes writes "for ever" as the greatest int64. */
const maxTimerMs = 2 ** 31 - 1

/** Throws invalid-argument for a negative time. */
export function secondsToMs(seconds: bigint): number {
  if (seconds < 0n) throw invalidArgument(`timeout is ${seconds}: it may be 0 or more seconds`)
  return Math.min(Number(seconds) * 1000, maxTimerMs)
}
