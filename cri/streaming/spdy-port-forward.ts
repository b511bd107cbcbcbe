import { setTimeout as sleep } from 'node:timers/promises'
import { describeError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import type { PodConnection } from '#runtime/pod-ports-port.ts'
import { type Connect, forward } from './forward.ts'
import type { SpdyConnection, SpdyOptions } from './spdy-connection.ts'
import type { SpdyStream } from './spdy-stream.ts'

/** How long a client may take to open the second stream of a pair. */
const PAIR_TIMEOUT_MS = 30_000

interface Pair {
  readonly port: number
  error?: SpdyStream
  data?: SpdyStream
}

/** Port-forward over SPDY: for each connection a pair of streams, one for its data and one for what went wrong with it. */
export async function spdyPortForward(
  open: (options: Pick<SpdyOptions, 'onStream'>) => SpdyConnection,
  connect: Connect,
  log: Log,
  pairTimeoutMs = PAIR_TIMEOUT_MS,
): Promise<void> {
  const pairs = new Map<string, Pair>()
  const connection = open({
    onStream(stream) {
      const request = requestOf(stream)
      const pair = request && (pairs.get(request.id) ?? begin(request.id, request.port))
      if (request === undefined || pair === undefined) return false
      if (pair.port !== request.port || pair[request.type] !== undefined) return false
      pair[request.type] = stream
      const { data, error } = pair
      if (data !== undefined && error !== undefined) {
        pairs.delete(request.id)
        void serve(data, error, pair.port)
      }
      return true
    },
  })

  function begin(id: string, port: number): Pair {
    const pair: Pair = { port }
    pairs.set(id, pair)
    void sleep(pairTimeoutMs, undefined, { ref: false }).then(() => {
      if (pairs.get(id) !== pair) return
      pairs.delete(id)
      pair.data?.reset()
      pair.error?.end(`port ${port}: its other stream did not come in time`)
    })
    return pair
  }

  async function serve(data: SpdyStream, error: SpdyStream, port: number): Promise<void> {
    error.resume()
    const failed = (failure: unknown): string => {
      const err = describeError(failure)
      log.info({ port, err }, 'a connection to a port of a pod failed')
      return `error forwarding port ${port}: ${err}`
    }
    let pod: PodConnection
    try {
      pod = await connect(port)
    } catch (failure) {
      error.end(failed(failure))
      data.reset()
      return
    }
    try {
      await forward(data, pod)
    } catch (failure) {
      // A reset is passed on as one, behind what came before it. client-go ends all its connections at any message.
      failed(failure)
      await data.flushed()
      data.reset()
    }
    error.end()
  }

  await connection.closed
}

/** Clients of old name no request: then the data stream is the one opened next to the error stream. */
function requestOf({ id, headers }: SpdyStream) {
  const type = headers.get('streamtype')
  const port = Number(headers.get('port'))
  if (type !== 'data' && type !== 'error') return undefined
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return undefined
  return { type, port, id: headers.get('requestid') ?? `stream ${type === 'error' ? id : id - 2}` } as const
}
