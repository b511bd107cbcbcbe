import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import type { CommandStreams } from '#runtime/monitor-port.ts'
import { type Outcome, statusText } from './command-status.ts'

/** Which streams the CRI's request names. */
export interface WantedStreams {
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  readonly tty: boolean
}

/** The connection of a client of exec or attach, whatever its protocol. */
export interface CommandChannels {
  readonly protocol: string
  readonly streams: CommandStreams
  /** Carries the outcome. */
  readonly error: Writable
  /** Whether the client hears of no outcome once its outputs have ended: it leaves when it has heard of one. */
  readonly hearsOutcomeFirst: boolean
  /** Aborts when the client has gone. */
  readonly gone: AbortSignal
  /** Lets go of the client once it has all that was written. */
  close(): Promise<void>
}

/** Answers the exit code of what it ran; what it throws is told to the client. */
export type Run = (streams: CommandStreams, gone: AbortSignal) => Promise<number>

/** What ends a session from our side; its reason is told to the client. */
export type Cut = AbortSignal

/** Runs a command for its client: all output, the outcome, and then the ends: old clients look for no outcome after them. */
export async function serveCommand(
  channels: CommandChannels,
  run: Run,
  kind: 'exec' | 'attach',
  cut: Cut,
  log: Log,
): Promise<void> {
  const started = performance.now()
  const ran = await run(channels.streams, AbortSignal.any([channels.gone, cut])).then(
    (exitCode): Outcome => ({ exitCode }),
    (error: unknown): Outcome => ({ error, doing: ACTS[kind] }),
  )
  const outcome: Outcome = cut.aborted ? { error: cut.reason, doing: ACTS[kind] } : ran
  const fields = { ms: Math.round(performance.now() - started), protocol: channels.protocol }
  if (channels.gone.aborted) log.info(fields, 'the client of a command or container has gone')
  else if ('error' in outcome) log.info({ ...fields, err: describeError(outcome.error) }, 'a session failed')
  else if (kind === 'attach') log.info(fields, 'an attachment ended')
  else log.info({ ...fields, exitCode: outcome.exitCode }, 'a command ended')
  const { stdout, stderr } = channels.streams
  const text = statusText(outcome, channels.protocol)
  await ended(channels.error, text)
  if (channels.hearsOutcomeFirst && text !== '') await leaves(channels.gone)
  await Promise.all([ended(stdout), ended(stderr)])
  await channels.close()
}

const ACTS = { exec: 'executing command in container', attach: 'attaching to container' } as const

/** How long a client may take to leave that has heard of a failure. */
const PATIENCE_MS = 1_000

function leaves(gone: AbortSignal): Promise<unknown> {
  return sleep(PATIENCE_MS, undefined, { signal: gone }).catch(() => {})
}

/** A stream whose client is gone has nothing to wait for. */
async function ended(stream: Writable | undefined, last = ''): Promise<void> {
  if (stream === undefined || stream.destroyed) return
  const flushed = finished(stream, { readable: false }).catch(() => {})
  stream.end(last)
  await flushed
}
