const UNITS_MS: readonly (readonly [unit: string, ms: number])[] = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
]
const DURATION = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/

/** Milliseconds of `4h`, `1h30m`, `20s`, `500ms`, as Kubernetes writes durations; `0` is 0. Undefined for what is none. */
export function durationMs(text: string): number | undefined {
  if (text === '0') return 0
  const parts = text === '' ? null : DURATION.exec(text)
  if (parts === null) return undefined
  return UNITS_MS.reduce((sum, [, ms], index) => sum + Number(parts[index + 1] ?? 0) * ms, 0)
}
