import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino'
import { build as pretty } from 'pino-pretty'
import { withoutSecrets } from './redact.ts'

const STDERR = 2

/**
 * A logger that writes to stderr at once, so that nothing is lost with a daemon that is killed.
 * Secrets are taken out of the finished line: fields, bindings of children and errors alike.
 */
export function createLogger(
  { level, format }: { readonly level: string; readonly format: 'json' | 'pretty' },
  stream: DestinationStream = streamOf(format),
): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      hooks: { streamWrite: withoutSecrets },
    },
    stream,
  )
}

function streamOf(format: 'json' | 'pretty'): DestinationStream {
  if (format === 'json') return destination({ dest: STDERR, sync: true })
  return pretty({ destination: STDERR, sync: true, colorize: process.stderr.isTTY })
}
