import type { Log } from '#lib/log.ts'

export interface LogLine {
  readonly level: keyof Log
  readonly message: string
  readonly [field: string]: unknown
}

/** For tests: a log that keeps its lines. */
export function recordingLog(): { readonly lines: LogLine[]; readonly log: Log } {
  const lines: LogLine[] = []
  const keep =
    (level: keyof Log) =>
    (fields: object, message: string): void => {
      lines.push({ ...fields, level, message })
    }
  return {
    lines,
    log: { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') },
  }
}
