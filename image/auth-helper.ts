import { z } from 'zod'
import { describeError } from '#lib/errors.ts'
import type { Command, Finished } from '#linux/command.ts'
import { findProgram } from '#linux/find-program.ts'
import type { Credentials } from './auth-credentials.ts'
import { foreignJson } from './foreign-json.ts'
import { RegistryFailure } from './registry-failure.ts'

const TIMEOUT_MS = 30_000
const LONGEST_ANSWER_BYTES = 64 << 10
const LONGEST_SHOWN = 200

export interface HelperOptions {
  readonly run: (command: Command) => Promise<Finished>
  /** Where helpers are looked for; by default the daemon's PATH. */
  readonly path?: string
}

/** Asks a credential helper, by its name without `docker-credential-`; undefined when it has none for the server. */
export type AskHelper = (
  name: string,
  server: string,
  signal: AbortSignal,
) => Promise<Credentials | undefined>

/**
 * Docker's credential helpers: programs that answer `get` on their standard input with JSON. They run with the daemon's
 * environment, half a minute at most, and no longer than `signal` lets them. Throws RegistryFailure, unauthenticated, that shows nothing of an answer.
 */
export function credentialHelpers({ run, path }: HelperOptions): AskHelper {
  return async (name, server, signal) => {
    const program = `docker-credential-${name}`
    const failed = (why: string) =>
      new RegistryFailure(`${program} for ${server}: ${why}`, { kind: 'unauthenticated' })
    const found = findProgram(program, path)
    if (found === undefined) throw failed('it is not in PATH: install it')
    const finished = await run({
      argv: [found, 'get'],
      env: process.env as Record<string, string>,
      stdin: server,
      timeoutMs: TIMEOUT_MS,
      signal,
      outputLimitBytes: LONGEST_ANSWER_BYTES,
    }).catch((thrown: unknown) => {
      if (signal.aborted) throw thrown
      throw failed(describeError(thrown))
    })
    return readAnswer(finished, failed)
  }
}

function readAnswer(
  { exitCode, stdout, stderr }: Finished,
  failed: (why: string) => RegistryFailure,
): Credentials | undefined {
  if (exitCode !== 0) {
    if (/credentials not found/i.test(`${stdout}${stderr}`)) return undefined
    throw failed(`it failed with ${exitCode}${shownLine(stderr || `${stdout}`)}`)
  }
  const answer = answerSchema.safeParse(foreignJson(stdout))
  if (!answer.success) throw failed('its answer is no {"Username", "Secret"}')
  const { Username: username, Secret: secret } = answer.data
  if (secret === '') return undefined
  return username === '<token>'
    ? { kind: 'identity-token', token: secret }
    : { kind: 'basic', username, password: secret }
}

const answerSchema = z.object({ Username: z.string(), Secret: z.string() })

/** Its first line, unless it may be an answer. */
function shownLine(text: string): string {
  const [line = ''] = text.trim().split('\n')
  const shown = line.replace(/\p{C}/gu, '').slice(0, LONGEST_SHOWN)
  return shown === '' || /[{}]|secret/i.test(shown) ? '' : `: ${shown}`
}
