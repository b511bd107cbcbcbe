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

/** Sends all of it under another length than it has. */
export const lieAboutLength =
  (whole: Buffer, announcedBytes: number): Behaviour =>
  (response) => {
    response.writeHead(200, { 'content-length': announcedBytes, connection: 'close' })
    response.write(whole, () => response.socket?.destroySoon())
  }

/** Sends it in so many pieces, one every few milliseconds. */
export const drip =
  (whole: Buffer, pieces: number, everyMs: number): Behaviour =>
  (response) => {
    response.writeHead(200, { 'content-length': whole.length })
    const pieceBytes = Math.ceil(whole.length / pieces)
    let at = 0
    const timer = setInterval(() => {
      response.write(whole.subarray(at, at + pieceBytes))
      at += pieceBytes
      if (at >= whole.length) response.end()
    }, everyMs)
    response.on('close', () => clearInterval(timer))
  }

/** Sends elsewhere. */
export const redirectTo =
  (location: string): Behaviour =>
  (response) => {
    response.writeHead(307, { location })
    response.end()
  }
