import type { ServerResponse } from 'node:http'

/** What the registry does instead of answering; `answer` is what it would have done. */
export type Behaviour = (response: ServerResponse, answer: () => void) => void

/** Answers with a status, and headers or a body with it. */
export const answerWith =
  (status: number, headers: { [name: string]: string } = {}, body: string | Buffer = ''): Behaviour =>
  (response) => {
    response.writeHead(status, headers)
    response.end(body)
  }

/** Takes the request and says nothing. */
export const staySilent: Behaviour = () => {}

/** Cuts the connection without an answer. */
export const hangUp: Behaviour = (response) => void response.socket?.destroy()

/** Announces `whole` and sends its first bytes, then cuts the connection or, if it is to `stall`, keeps it. */
export const breakOff =
  (whole: Buffer, afterBytes: number, { stall = false } = {}): Behaviour =>
  (response) => {
    response.writeHead(200, { 'content-length': whole.length })
    response.write(whole.subarray(0, afterBytes), () => {
      if (!stall) response.socket?.destroySoon()
    })
  }
