/** Why a stream is reset: the statuses of RST_STREAM. */
export const resetStatus = {
  protocolError: 1,
  invalidStream: 2,
  refusedStream: 3,
  cancel: 5,
  internalError: 6,
  streamAlreadyClosed: 9,
} as const

/** Why a connection is left: the statuses of GOAWAY. */
export const goAwayStatus = { ok: 0, protocolError: 1, internalError: 2 } as const

/** The peer broke the protocol or left: the connection is over. */
export class SpdyError extends Error {
  override readonly name = 'SpdyError'
}

/** The peer reset one stream; the others go on. */
export class SpdyReset extends Error {
  override readonly name = 'SpdyReset'
  readonly status: number

  constructor(streamId: number, status: number) {
    super(`the client reset stream ${streamId} with status ${status}`)
    this.status = status
  }
}
