import { once } from 'node:events'
import type { handleServerStreamingCall, ServerWritableStream } from '@grpc/grpc-js'
import type { Log } from '#lib/log.ts'
import { callLog } from './call-log.ts'
import { type CallContext, hangup } from './unary.ts'

export type StreamHandler<Request, Response> = (
  request: Request,
  call: CallContext,
) => Iterable<Response> | AsyncIterable<Response>

/** As unary(), for an RPC that answers with many messages. A slow reader slows the handler; one that leaves ends it. */
export function serverStream<Request extends object, Response extends object, Encoded>(
  method: string,
  handle: StreamHandler<Request, Response>,
  encode: (response: Response) => Encoded,
  log: Log,
): handleServerStreamingCall<Request, Encoded> {
  async function serve(call: ServerWritableStream<Request, Encoded>): Promise<void> {
    const signal = hangup(call)
    for await (const response of handle(call.request, { log, signal })) {
      signal.throwIfAborted()
      if (!call.write(encode(response))) await once(call, 'drain', { signal })
    }
  }

  return (call) => {
    const line = callLog(method, call.request, log)
    serve(call).then(
      () => {
        line.succeeded()
        call.end()
      },
      (thrown: unknown) => {
        call.emit('error', line.failed(thrown))
      },
    )
  }
}
