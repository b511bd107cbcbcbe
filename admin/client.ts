import { type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { CriError, errnoOf } from '#lib/errors.ts'
import { failure, failureLine } from './protocol.ts'

/** Where the daemon with this state directory listens for the commands of the CLI. */
export const adminSocket = (state: string): string => join(state, 'admin.sock')

/** One connection a call. Each throws the CriError that the daemon met, or unavailable when none answers. */
export interface AdminClient {
  /** The answer's JSON. */
  call(method: string, path: string, body?: object): Promise<unknown>
  /** The JSON of each line, as it comes. Who stops reading hangs up. */
  lines(method: string, path: string, body?: object): AsyncGenerator<unknown>
}

export function adminClient(socketPath: string): AdminClient {
  return {
    async call(method, path, body) {
      const response = await send(socketPath, method, path, body)
      return JSON.parse(await text(response).catch(unreachable(socketPath)))
    },
    async *lines(method, path, body) {
      const response = await send(socketPath, method, path, body)
      try {
        for await (const line of createInterface({ input: response })) yield parsedLine(line)
        // The interface ends as well when the connection is cut.
        if (!response.complete) throw new Error('the connection was cut')
      } catch (thrown) {
        throw thrown instanceof CriError ? thrown : unreachable(socketPath)(thrown)
      } finally {
        response.destroy()
      }
    },
  }
}

function parsedLine(line: string): unknown {
  const parsed: unknown = JSON.parse(line)
  const failed = failureLine.safeParse(parsed)
  if (!failed.success) return parsed
  throw new CriError(failed.data.failure.kind, failed.data.failure.message)
}

/** The answer to it; throws where that is a failure. */
async function send(
  socketPath: string,
  method: string,
  path: string,
  body?: object,
): Promise<IncomingMessage> {
  const sent = body === undefined ? '' : JSON.stringify(body)
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const headers = { 'content-length': Buffer.byteLength(sent) }
  request({ socketPath, method, path, headers, agent: false }, resolve).on('error', reject).end(sent)
  const response = await promise.catch(unreachable(socketPath))
  if (response.statusCode === 200) return response
  const { kind, message } = failure.parse(JSON.parse(await text(response).catch(unreachable(socketPath))))
  throw new CriError(kind, message)
}

const unreachable =
  (socketPath: string) =>
  (cause: unknown): never => {
    const remedy =
      errnoOf(cause) === 'EACCES'
        ? 'only root may: run it with sudo'
        : 'start it with `cri-ts serve`, or give the --state or --config that it runs with'
    throw new CriError('unavailable', `the daemon can't be asked on ${socketPath}: ${remedy}`, { cause })
  }
