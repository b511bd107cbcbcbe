import type { handleUnaryCall } from '@grpc/grpc-js'
import type { Log } from '#lib/log.ts'
import { callLog } from './call-log.ts'

export interface CallContext {
  readonly log: Log
  /** Aborts when the client hangs up or its deadline passes. Never handed to teardown. */
  readonly signal: AbortSignal
}

export type Handler<Request, Response> = (request: Request, call: CallContext) => Promise<Response> | Response

/**
 * Adapts a handler to grpc-js: one log line a call, hang-up and deadline as a signal, errors as statuses.
 * `encode` makes the answer ready for the wire, so that one that cannot be sent is a failure like any other.
 */
export function unary<Request extends object, Response extends object, Encoded>(
  method: string,
  handle: Handler<Request, Response>,
  encode: (response: Response) => Encoded,
  log: Log,
): handleUnaryCall<Request, Encoded> {
  return (call, respond) => {
    const line = callLog(method, call.request, log)
    const serve = async (): Promise<Encoded> => {
      const response = await handle(call.request, { log, signal: hangup(call) })
      const encoded = encode(response)
      line.succeeded(response)
      return encoded
    }
    serve().then(
      (encoded) => respond(null, encoded),
      (thrown: unknown) => respond(line.failed(thrown)),
    )
  }
}

/** grpc-js reports a client that hangs up and a deadline that passes by one event. */
export function hangup(call: { on(event: 'cancelled', listener: () => void): unknown }): AbortSignal {
  const controller = new AbortController()
  call.on('cancelled', () => controller.abort())
  return controller.signal
}
